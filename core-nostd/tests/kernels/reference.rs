//! The formulas of native arithmetic in wide integers, and maps to loop over.

use proptest::prelude::*;

/// A map with its zero point.
#[derive(Clone, Debug)]
pub struct Map {
    pub hwc: [usize; 3],
    pub zero_point: i8,
    pub data: Vec<i8>,
}

impl Map {
    pub fn at(&self, y: usize, x: usize, c: usize) -> i64 {
        i64::from(self.data[(y * self.hwc[1] + x) * self.hwc[2] + c])
    }

    /// The element at row and column, or `None` in the padding.
    pub fn padded(&self, y: i64, x: i64, c: usize) -> Option<i64> {
        let inside = (0..self.hwc[0] as i64).contains(&y) && (0..self.hwc[1] as i64).contains(&x);
        inside.then(|| self.at(y as usize, x as usize, c))
    }

    /// A map of a result, element by element.
    pub fn make([h, w, c]: [usize; 3], f: impl Fn(usize, usize, usize) -> i8) -> Vec<i8> {
        let f = &f;
        (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..c).map(move |c| f(y, x, c)))).collect()
    }
}

/// Zero points, the ends more often than by chance.
pub fn zero_point() -> impl Strategy<Value = i8> {
    prop_oneof![Just(-128i8), Just(127), Just(0), any::<i8>()]
}

/// A map with extents up to the given ones.
pub fn map(h: usize, w: usize, c: usize) -> impl Strategy<Value = Map> {
    ([1..=h, 1..=w, 1..=c], zero_point()).prop_flat_map(|(hwc, zero_point)| {
        let data = proptest::collection::vec(any::<i8>(), hwc.iter().product::<usize>());
        data.prop_map(move |data| Map { hwc, zero_point, data })
    })
}

/// Bounds of a fused clamp.
pub fn bounds() -> impl Strategy<Value = (i8, i8)> {
    prop_oneof![Just((-128, 127)), (any::<i8>(), any::<i8>()).prop_map(|(a, b)| (a.min(b), a.max(b)))]
}

/// ⌊a / 2ˢ⌋.
fn floor_shift(a: i128, s: u32) -> i128 {
    a.div_euclid(1 << s)
}

/// `clamp(zero_point + ⌊(acc·2^shift · M + 2³¹) / 2³²⌋)`; a negative shift rounds down first.
pub fn requantize(acc: i64, m: i32, shift: i8) -> i64 {
    let acc = i128::from(acc);
    let shifted =
        if shift >= 0 { acc << shift.unsigned_abs() } else { floor_shift(acc, u32::from(shift.unsigned_abs())) };
    floor_shift(shifted * i128::from(m) + (1 << 31), 32) as i64
}

/// Zero point and clamp.
pub fn finish(v: i64, zero_point: i8, (lo, hi): (i8, i8)) -> i8 {
    (v + i64::from(zero_point)).clamp(i64::from(lo), i64::from(hi)) as i8
}

/// `clamp(⌊(a·Ma + b·Mb + C) / 2ˢ⌋)`.
pub fn sum(a: i64, b: i64, (ma, mb, c, s): (i32, i32, i32, i8), bounds: (i8, i8)) -> i8 {
    let v = i128::from(a) * i128::from(ma) + i128::from(b) * i128::from(mb) + i128::from(c);
    finish(floor_shift(v, s as u32) as i64, 0, bounds)
}
