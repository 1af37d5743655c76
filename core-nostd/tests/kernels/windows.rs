//! Convolution, depthwise convolution, pooling.

use carafe::ops::{COLUMNS, ConvRecord, FOURS, PAIRS, PLAIN, PoolRecord, QUADS, WORDS};
use carafe::{OpCode, Window};
use proptest::prelude::*;

use crate::frame::{Frame, frame};
use crate::reference::{Map, bounds, finish, map, requantize, zero_point};
use crate::support::{Builder, bytes, run};

/// Rows and columns of a window, and of the result.
#[derive(Clone, Copy, Debug)]
struct Spatial {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 2],
    out: [usize; 2],
}

impl Spatial {
    fn window(&self) -> Window {
        let extent = (self.kernel[0] - 1) * self.dilation[0] + 1;
        Window { num: self.stride[0] as u16, den: 1, pad: self.pad[0] as u16, extent: extent as u16 }
    }

    /// The element of the operand that a tap reads.
    fn tap(&self, axis: usize, o: usize, k: usize) -> i64 {
        (o * self.stride[axis] + k * self.dilation[axis]) as i64 - self.pad[axis] as i64
    }
}

/// Windows over an operand of extents `x`, some of them in the padding alone; with `inside`, every one has an element.
fn spatial(x: [usize; 3], dilated: bool, inside: bool) -> impl Strategy<Value = Spatial> {
    let dilation = if dilated { 1usize..=3 } else { 1..=1 };
    let kernel = 1usize..=5;
    let each = move |size: usize| {
        (kernel.clone(), 1usize..=3, dilation.clone(), any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(move |(kernel, stride, dilation, pad, out)| {
                let extent = (kernel - 1) * dilation + 1;
                let pad = pad.index(if inside { kernel } else { extent + 2 });
                let most = (size + pad - 1) / stride + if inside { 1 } else { 3 };
                (kernel, stride, dilation, pad, 1 + out.index(most))
            })
    };
    (each(x[0]), each(x[1])).prop_map(|(r, c)| Spatial {
        kernel: [r.0, c.0],
        stride: [r.1, c.1],
        dilation: [r.2, c.2],
        pad: [r.3, c.3],
        out: [r.4, c.4],
    })
}

#[derive(Clone, Debug)]
struct Convolution {
    x: Map,
    s: Spatial,
    channels: usize,
    weights: Vec<i8>,
    parameters: Vec<(i32, i32)>,
    shift: i8,
    zero_point: i8,
    bounds: (i8, i8),
    frame: Frame,
    packing: u8,
    scratch: u32,
}

/// Bytes of scratch: none, too few, or enough.
pub fn scratch() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 1u32..2000, Just(16_384)]
}

/// `multiplier`: of a depthwise convolution; else up to `channels` of the result.
fn convolution(depthwise: bool) -> impl Strategy<Value = Convolution> {
    let c = if depthwise { 20 } else { 9 };
    let shapes = map(9, 7, c).prop_flat_map(move |x| {
        let channels = if depthwise { (1usize..=3).boxed() } else { (1usize..=6).boxed() };
        let s = spatial(x.hwc, true, false);
        (Just(x), s, channels)
    });
    shapes.prop_flat_map(move |(x, s, n)| {
        let (channels, depth) = if depthwise { (n * x.hwc[2], 1) } else { (n, x.hwc[2]) };
        let weights = channels * s.kernel[0] * s.kernel[1] * depth;
        (
            Just((x, s, channels)),
            proptest::collection::vec(any::<i8>(), weights),
            proptest::collection::vec((-(1i32 << 20)..1 << 20, 1i32 << 12..i32::MAX), channels),
            -8i8..=4,
            zero_point(),
            bounds(),
            frame(),
            (prop::sample::select(vec![PLAIN, PAIRS, FOURS, FOURS, QUADS, COLUMNS, WORDS]), scratch()),
        )
            .prop_map(
                |((x, s, channels), weights, parameters, shift, zero_point, bounds, frame, (packing, scratch))| {
                    let weights =
                        weights.iter().map(|&w: &i8| if packing != PAIRS { w.max(-127) } else { w }).collect();
                    Convolution {
                        x,
                        s,
                        channels,
                        weights,
                        parameters,
                        shift,
                        zero_point,
                        bounds,
                        frame,
                        packing,
                        scratch,
                    }
                },
            )
    })
}

/// Convolutions that are made by tiles: rows as they are, narrow ones whose lines are copied, and single pixels.
fn tiles() -> impl Strategy<Value = Convolution> {
    (convolution(false), any::<bool>()).prop_map(|(mut c, single)| {
        (c.packing, c.scratch, c.shift, c.s.dilation) = (FOURS, 16_384, c.shift.max(0), [1; 2]);
        c.frame.beside_in = [0; 2];
        if single {
            c.s = Spatial {
                kernel: [1; 2],
                stride: [1; 2],
                dilation: [1; 2],
                pad: [0; 2],
                out: [c.x.hwc[0], c.x.hwc[1]],
            };
            c.weights.truncate(c.channels * c.x.hwc[2]);
        }
        c
    })
}

impl Convolution {
    fn blob(&self, op: OpCode) -> Vec<u8> {
        let mut b = Builder::default();
        let channels: Vec<u8> =
            self.parameters.iter().flat_map(|(bias, m)| [bias.to_le_bytes(), m.to_le_bytes()].concat()).collect();
        let inputs = self.weights.len() / self.channels;
        let (weights, packing) = match self.packing {
            PAIRS if op == OpCode::Conv2d => b.pairs(&self.weights, inputs, &channels),
            FOURS if op == OpCode::Conv2d => b.fours(&self.weights, inputs, &channels),
            QUADS if op == OpCode::Conv2d => b.quads(&self.weights, inputs, &channels),
            // Depthwise, either packing is the same order.
            QUADS => (b.layer(&self.weights, &channels), QUADS),
            COLUMNS if op == OpCode::Conv2d => (b.layer(&self.by_column(), &channels), COLUMNS),
            WORDS if op == OpCode::DepthwiseConv2d && self.in_words() => (b.layer(&self.words(), &channels), WORDS),
            _ => (b.layer(&self.weights, &channels), PLAIN),
        };
        b.scratch(self.scratch);
        let record = ConvRecord {
            kernel_h: self.s.kernel[0] as u8,
            kernel_w: self.s.kernel[1] as u8,
            stride_h: self.s.stride[0] as u8,
            stride_w: self.s.stride[1] as u8,
            dilation_h: self.s.dilation[0] as u8,
            dilation_w: self.s.dilation[1] as u8,
            pad_top: self.s.pad[0] as u8,
            pad_left: self.s.pad[1] as u8,
            lo: self.bounds.0,
            hi: self.bounds.1,
            shift: self.shift,
            packing,
            weights,
        };
        let x = (self.x.hwc, self.x.zero_point);
        self.frame.unary(b, op, bytes(&record), x, (self.out(), self.zero_point), self.s.window(), 0)
    }

    /// Weights `[O, KH, KW, I]` as `[O, KW, KH, I]`.
    fn by_column(&self) -> Vec<i8> {
        let ([kh, kw], ic) = (self.s.kernel, self.x.hwc[2]);
        let order = (0..self.channels).flat_map(|o| (0..kw).flat_map(move |x| (0..kh).map(move |y| (o, x, y))));
        order.flat_map(|(o, x, y)| &self.weights[((o * kh + y) * kw + x) * ic..][..ic]).copied().collect()
    }

    /// True if windows fit into four words.
    fn in_words(&self) -> bool {
        let [kh, kw] = self.s.kernel;
        self.channels == self.x.hwc[2] && kh.div_ceil(4) * kw <= 4
    }

    /// Weights `[KH, KW, O]` as `[O / 16, KH / 4, KW, 16, 4]`.
    fn words(&self) -> Vec<i8> {
        let [kh, kw] = self.s.kernel;
        let mut words = Vec::new();
        for block in (0..self.channels).step_by(16) {
            for (y, x) in (0..kh).step_by(4).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                for (o, y) in (block..block + 16).flat_map(|o| (y..y + 4).map(move |y| (o, y))) {
                    let there = o < self.channels && y < kh;
                    words.push(if there { self.weights[(y * kw + x) * self.channels + o] } else { 0 });
                }
            }
        }
        words
    }

    fn out(&self) -> [usize; 3] {
        [self.s.out[0], self.s.out[1], self.channels]
    }

    /// `weight(channel, tap, input channel)`; sums over the input channels in the range.
    fn reference(
        &self,
        weight: impl Fn(usize, usize, usize) -> i8,
        reads: impl Fn(usize) -> std::ops::Range<usize>,
    ) -> Vec<i8> {
        let [kh, kw] = self.s.kernel;
        Map::make(self.out(), |y, x, o| {
            let (bias, m) = self.parameters[o];
            let mut acc = i64::from(bias);
            for tap in 0..kh * kw {
                for i in reads(o) {
                    let at = (self.s.tap(0, y, tap / kw), self.s.tap(1, x, tap % kw));
                    let v = self.x.padded(at.0, at.1, i).unwrap_or(i64::from(self.x.zero_point));
                    acc += v * i64::from(weight(o, tap, i));
                }
            }
            finish(requantize(acc, m, self.shift), self.zero_point, self.bounds)
        })
    }
}

#[derive(Clone, Debug)]
struct Pooling {
    x: Map,
    s: Spatial,
    bounds: (i8, i8),
    zero_point: i8,
    exclude: bool,
    multipliers: Vec<i32>,
    shift: i8,
    frame: Frame,
}

fn pooling() -> impl Strategy<Value = Pooling> {
    map(9, 7, 20).prop_flat_map(|x| {
        let s = spatial(x.hwc, false, true);
        let multipliers = proptest::collection::vec(1i32 << 12..i32::MAX, 25);
        (Just(x), s, bounds(), zero_point(), any::<bool>(), multipliers, -2i8..=2, frame()).prop_map(
            |(x, s, bounds, zero_point, exclude, multipliers, shift, frame)| Pooling {
                x,
                s,
                bounds,
                zero_point,
                exclude,
                multipliers,
                shift,
                frame,
            },
        )
    })
}

impl Pooling {
    fn out(&self) -> [usize; 3] {
        [self.s.out[0], self.s.out[1], self.x.hwc[2]]
    }

    fn blob(&self, op: OpCode) -> Vec<u8> {
        let mut b = Builder::default();
        let table: Vec<u8> = self.multipliers.iter().flat_map(|m| m.to_le_bytes()).collect();
        let record = PoolRecord {
            kernel_h: self.s.kernel[0] as u8,
            kernel_w: self.s.kernel[1] as u8,
            stride_h: self.s.stride[0] as u8,
            stride_w: self.s.stride[1] as u8,
            pad_top: self.s.pad[0] as u8,
            pad_left: self.s.pad[1] as u8,
            lo: self.bounds.0,
            hi: self.bounds.1,
            shift: self.shift,
            exclude_pad: u8::from(self.exclude),
            multipliers: b.consts(&table),
        };
        let x = (self.x.hwc, self.x.zero_point);
        self.frame.unary(b, op, bytes(&record), x, (self.out(), self.zero_point), self.s.window(), 0)
    }

    /// The elements of a window that are not padding.
    fn elements(&self, y: usize, x: usize, c: usize) -> Vec<i64> {
        let [kh, kw] = self.s.kernel;
        let taps = (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j)));
        taps.filter_map(|(i, j)| self.x.padded(self.s.tap(0, y, i), self.s.tap(1, x, j), c)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn convolutions(c in prop_oneof![3 => convolution(false), 1 => tiles()]) {
        let (taps, ic) = (c.s.kernel[0] * c.s.kernel[1], c.x.hwc[2]);
        let want = c.reference(|o, tap, i| c.weights[(o * taps + tap) * ic + i], |_| 0..ic);
        prop_assert_eq!(run(&c.blob(OpCode::Conv2d), std::slice::from_ref(&c.x.data)), Ok(vec![want]));
    }

    #[test]
    fn depthwise_convolutions(c in convolution(true)) {
        let multiplier = c.channels / c.x.hwc[2];
        let want = c.reference(|o, tap, _| c.weights[tap * c.channels + o], |o| o / multiplier..o / multiplier + 1);
        prop_assert_eq!(run(&c.blob(OpCode::DepthwiseConv2d), std::slice::from_ref(&c.x.data)), Ok(vec![want]));
    }

    #[test]
    fn largest_of_a_window(p in pooling()) {
        let want = Map::make(p.out(), |y, x, c| finish(*p.elements(y, x, c).iter().max().unwrap(), 0, p.bounds));
        prop_assert_eq!(run(&p.blob(OpCode::MaxPool2d), std::slice::from_ref(&p.x.data)), Ok(vec![want]));
    }

    #[test]
    fn mean_of_a_window(p in pooling()) {
        let want = Map::make(p.out(), |y, x, c| {
            let e = p.elements(y, x, c);
            let sum: i64 = e.iter().map(|v| v - i64::from(p.x.zero_point)).sum();
            let m = p.multipliers[if p.exclude { e.len() - 1 } else { 0 }];
            finish(requantize(sum, m, p.shift), p.zero_point, p.bounds)
        });
        prop_assert_eq!(run(&p.blob(OpCode::AvgPool2d), std::slice::from_ref(&p.x.data)), Ok(vec![want]));
    }
}
