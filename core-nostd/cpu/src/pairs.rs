//! Weights of two channels, interleaved: for each input, a little-endian i16 that is 256·b + a.
//!
//! Its low byte is a, so one instruction that widens low bytes gives a, and the halfword itself is used for b: with
//! S = Σ x·(256·b + a) and A = Σ x·a, Σ x·b = (S − A) / 256. That is exact as long as Σ x·b fits 24 bits, which the
//! converter proves for every layer (`docs/arithmetic.md`).
//!
//! Of every four inputs the second and third have changed places: the instruction that widens a word of int8 takes
//! bytes 0 and 2 at once, then 1 and 3.
//!
//! Of *four* channels a, b, c and d, three such halfwords are enough: with S₁ = Σ x·(256·b + a), S₂ = Σ x·(256·c + b) and
//! S₃ = Σ x·(256·d + c), Σ x·a is S₁ − 2⁸·S₂ + 2¹⁶·S₃ − 2²⁴·Σ x·d, so that its lowest 24 bits are known without Σ x·d, and
//! then the others one after the other: a quarter fewer products than by pairs. The words of a and b stand beside those of c
//! and d for the same two inputs. What the second halfword is made of is there: 256·c is the low byte of the one moved up, and
//! b the high byte of the other, if the low one is never below zero, which is why it is a + 128 there. Σ x·128 is taken away
//! at the end, and depends on the inputs alone. Behind the fours stands a pair, if two or three channels are left.

/// Where input `i` of a channel stands among its weights.
pub const fn place(i: usize) -> usize {
    (i & !3) | ((i & 1) << 1) | ((i >> 1) & 1)
}

/// The weights of two channels.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'w> {
    /// From the word of the first two inputs on.
    pub(crate) bytes: &'w [u8],
    /// Words stand beside those of another pair.
    beside: bool,
    /// What halfwords have been made greater by.
    pub(crate) more: u8,
}

impl<'w> Pair<'w> {
    /// Of weights in pairs, from those of this one on.
    pub fn alone(bytes: &'w [u8]) -> Self {
        Self { bytes, beside: false, more: 0 }
    }

    /// Pair `index` of so many, of weights in fours: `inputs` is what a channel is filled up to.
    pub fn of_fours(bytes: &'w [u8], inputs: usize, pairs: usize, index: usize) -> Option<Self> {
        let (four, half) = (index / 2, index % 2);
        let bytes = bytes.get(four.checked_mul(inputs)?.checked_mul(4)?..)?;
        if four == pairs / 2 {
            return Some(Self::alone(bytes.get(..2 * inputs)?));
        }
        Some(Self {
            bytes: bytes.get(..4 * inputs)?.get(4 * half..)?,
            beside: true,
            more: if half == 0 { 128 } else { 0 },
        })
    }

    /// Bytes from word to word.
    #[inline(always)]
    pub(crate) fn step(&self) -> usize {
        // Not zero, as compilers see: a division or chunks by it cannot fail.
        if self.beside { 8 } else { 4 }
    }

    /// 256·b + a and a of word `index`: of two inputs, in the order of [`place`].
    #[cfg(not(carafe_dsp))]
    pub(crate) fn word(&self, index: usize) -> Option<[[i32; 2]; 2]> {
        let &[a, b, c, d] = self.bytes.get(index * self.step()..)?.first_chunk()?;
        Some([self.both([a, b]), self.both([c, d])])
    }

    #[cfg(not(carafe_dsp))]
    #[inline(always)]
    fn both(&self, w: [u8; 2]) -> [i32; 2] {
        [i32::from(i16::from_le_bytes(w)) - i32::from(self.more), i32::from((w[0] ^ self.more) as i8)]
    }
}

/// Σ x·a and Σ x·b over all of `x`, int8. `w` are the weights of the pair from the first on, and `first` the input that
/// `x` begins with. What `w` lacks counts as zero.
#[inline(never)]
pub fn dot_pairs(x: &[u8], w: &[u8], first: usize) -> [i32; 2] {
    #[cfg(carafe_simd)]
    if let Some(sums) = vectors(x, w, first, false) {
        return sums;
    }
    dot(x, w, first, |x| i32::from(x as i8))
}

/// As [`dot_pairs`], x unsigned.
#[inline(never)]
pub fn dot_pairs_u8(x: &[u8], w: &[u8], first: usize) -> [i32; 2] {
    #[cfg(carafe_simd)]
    if let Some(sums) = vectors(x, w, first, true) {
        return sums;
    }
    dot(x, w, first, i32::from)
}

/// Σ a and Σ b over `count` inputs.
#[inline(never)]
pub fn sum_pairs(w: &[u8], first: usize, count: usize) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    for i in first..first + count {
        let [w, a] = weight(w, i);
        whole = whole.wrapping_add(w);
        low = low.wrapping_add(a);
    }
    split(whole, low)
}

/// 256·b + a and a of an input.
#[inline(always)]
fn weight(w: &[u8], i: usize) -> [i32; 2] {
    match w.as_chunks().0.get(place(i)) {
        Some(&w) => both(w),
        None => [0; 2],
    }
}

#[inline(always)]
fn both(w: [u8; 2]) -> [i32; 2] {
    let w = i16::from_le_bytes(w);
    [i32::from(w), i32::from(w as i8)]
}

#[inline(always)]
fn dot(x: &[u8], w: &[u8], first: usize, element: impl Fn(u8) -> i32) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    let mut add = |x: u8, [w, a]: [i32; 2]| {
        whole = whole.wrapping_add(element(x).wrapping_mul(w));
        low = low.wrapping_add(element(x).wrapping_mul(a));
    };
    // Four at a time, where a group of four begins.
    // What is to be small takes one after the other: dense layers come here, and the last channels of others.
    let by_fours = first.is_multiple_of(4) && !cfg!(feature = "portable");
    let (groups, rest) = if by_fours { x.as_chunks() } else { (&[][..], x) };
    let mut weights = w.get(2 * first..).unwrap_or_default().as_chunks().0.iter();
    for &[x0, x1, x2, x3] in groups {
        let Some(&[a, b, c, d, e, f, g, h]) = weights.next() else { break };
        add(x0, both([a, b]));
        add(x2, both([c, d]));
        add(x1, both([e, f]));
        add(x3, both([g, h]));
    }
    for (i, &x) in (first + 4 * groups.len()..).zip(rest) {
        add(x, weight(w, i));
    }
    split(whole, low)
}

/// The same by the vectors of the host, where groups of four begin and end with those of `w`.
#[cfg(carafe_simd)]
fn vectors(x: &[u8], w: &[u8], first: usize, unsigned: bool) -> Option<[i32; 2]> {
    let groups = first.is_multiple_of(4) && w.len().is_multiple_of(8);
    let [whole, low] = crate::host::dot_pairs(x, w.get(2 * first..).filter(|_| groups)?, unsigned)?;
    Some(split(whole, low))
}

/// Σ x·w of four channels over all of `x`, int8. `w` are the weights of the four from the first on, and `first` the input
/// that `x` begins with. What `w` lacks counts as zero.
#[inline(never)]
pub fn dot_fours(x: &[u8], w: &[u8], first: usize) -> [i32; 4] {
    fours(x, w, first, |x| i32::from(x as i8))
}

/// As [`dot_fours`], x unsigned.
#[inline(never)]
pub fn dot_fours_u8(x: &[u8], w: &[u8], first: usize) -> [i32; 4] {
    fours(x, w, first, i32::from)
}

/// Σ w of four channels over `count` inputs.
#[inline(never)]
pub fn sum_fours(w: &[u8], first: usize, count: usize) -> [i32; 4] {
    let mut sums = Fours::default();
    (first..first + count).for_each(|i| sums.add(1, four(w, i)));
    sums.split()
}

/// Sums of four channels.
#[derive(Default)]
struct Fours {
    /// Σ x, which that of the first channel is too great by 128 times.
    x: i32,
    a: i32,
    b: i32,
    c: i32,
    /// Σ x·(256·d + c).
    both: i32,
}

impl Fours {
    // Not a loop over all five: for size, compilers would make one of it, and keep sums in memory.
    #[inline(always)]
    fn add(&mut self, x: i32, [a, b, c, d]: [u8; 4]) {
        self.x = self.x.wrapping_add(x);
        self.a = self.a.wrapping_add(x.wrapping_mul(a.into()));
        self.b = self.b.wrapping_add(x.wrapping_mul((b as i8).into()));
        self.c = self.c.wrapping_add(x.wrapping_mul((c as i8).into()));
        self.both = self.both.wrapping_add(x.wrapping_mul(i16::from_le_bytes([c, d]).into()));
    }

    #[inline(always)]
    fn split(self) -> [i32; 4] {
        let a = self.a.wrapping_sub(self.x.wrapping_mul(128));
        [a, self.b, self.c, self.both.wrapping_sub(self.c) >> 8]
    }
}

/// The bytes of an input's halfwords.
fn four(w: &[u8], i: usize) -> [u8; 4] {
    let i = place(i);
    match w.as_chunks::<8>().0.get(i / 2) {
        Some(&[a, b, _, _, c, d, _, _]) if i.is_multiple_of(2) => [a, b, c, d],
        Some(&[_, _, a, b, _, _, c, d]) => [a, b, c, d],
        None => [128, 0, 0, 0],
    }
}

#[inline(always)]
fn fours(x: &[u8], w: &[u8], first: usize, element: impl Fn(u8) -> i32) -> [i32; 4] {
    let mut sums = Fours::default();
    // Four at a time, where a group of four begins.
    let (groups, rest) = if first.is_multiple_of(4) { x.as_chunks() } else { (&[][..], x) };
    let mut weights = w.get(4 * first..).unwrap_or_default().as_chunks::<16>().0.iter();
    for &[x0, x1, x2, x3] in groups {
        let Some(&[a0, b0, a2, b2, c0, d0, c2, d2, a1, b1, a3, b3, c1, d1, c3, d3]) = weights.next() else { break };
        sums.add(element(x0), [a0, b0, c0, d0]);
        sums.add(element(x2), [a2, b2, c2, d2]);
        sums.add(element(x1), [a1, b1, c1, d1]);
        sums.add(element(x3), [a3, b3, c3, d3]);
    }
    for (i, &x) in (first + 4 * groups.len()..).zip(rest) {
        sums.add(element(x), four(w, i));
    }
    sums.split()
}

/// The two sums of S and A.
#[inline]
pub(crate) fn split(whole: i32, low: i32) -> [i32; 2] {
    [low, whole.wrapping_sub(low) >> 8]
}
