//! Ops whose result is made of pixels or channels of the operand: enlarging, slices, blocks of pixels.

use carafe::ops::{SliceRecord, SpaceToDepthRecord, UpsampleRecord};
use carafe::{OpCode, Window};
use proptest::prelude::*;

use crate::frame::{Frame, frame};
use crate::reference::{Map, map};
use crate::support::{Builder, bytes, run};

/// Runs one op in a frame, and the same with each of its elements looked up by `source`.
fn holds(
    f: &Frame,
    (op, fields): (OpCode, Vec<u8>),
    x: &Map,
    y: [usize; 3],
    window: Window,
    source: impl Fn(usize, usize, usize) -> [usize; 3],
) -> Result<(), TestCaseError> {
    let [_, w, c] = x.hwc;
    let blob = f.unary(Builder::default(), op, fields, (x.hwc, x.zero_point), (y, x.zero_point), window, 0);
    let want = Map::make(y, |row, col, i| {
        let [row, col, i] = source(row, col, i);
        x.data[(row * w + col) * c + i]
    });
    prop_assert_eq!(run(&blob, std::slice::from_ref(&x.data)), Ok(vec![want]));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn enlarging(x in map(6, 5, 6), h in 1usize..=5, w in 1usize..=4, f in frame()) {
        let [rows, columns, c] = x.hwc;
        let record = UpsampleRecord { factor_h: h as u8, factor_w: w as u8 };
        let window = Window { num: 1, den: h as u16, pad: 0, extent: 1 };
        let y = [rows * h, columns * w, c];
        holds(&f, (OpCode::Upsample, bytes(&record)), &x, y, window, |row, col, i| [row / h, col / w, i])?;
    }

    #[test]
    fn blocks(y in map(4, 4, 5), block in 1usize..=3, depth_first in any::<bool>(), f in frame()) {
        let [h, w, c] = y.hwc;
        let x = Map::make([h * block, w * block, c], |y, x, i| (y * 37 + x * 11 + i * 5) as i8);
        let x = Map { hwc: [h * block, w * block, c], zero_point: y.zero_point, data: x };
        let record = SpaceToDepthRecord { block: block as u8, depth_first: u8::from(depth_first) };
        let window = Window { num: block as u16, den: 1, pad: 0, extent: block as u16 };
        let source = |row, col, i: usize| {
            let (k, i) = if depth_first { (i % (block * block), i / (block * block)) } else { (i / c, i % c) };
            [row * block + k / block, col * block + k % block, i]
        };
        let y = [h, w, c * block * block];
        holds(&f, (OpCode::SpaceToDepth, bytes(&record)), &x, y, window, source)?;
    }

    #[test]
    fn slices(x in map(8, 6, 9), from in any::<[prop::sample::Index; 3]>(), n in any::<[prop::sample::Index; 3]>(), f in frame()) {
        let from = [0, 1, 2].map(|a| from[a].index(x.hwc[a]));
        let y = [0, 1, 2].map(|a| 1 + n[a].index(x.hwc[a] - from[a]));
        let record = SliceRecord { y: from[0] as u16, x: from[1] as u16, c: from[2] as u16 };
        let window = Window { extent: from[0] as u16 + 1, ..Window::SAME };
        let source = |row, col, i| [row + from[0], col + from[1], i + from[2]];
        holds(&f, (OpCode::Slice, bytes(&record)), &x, y, window, source)?;
    }
}
