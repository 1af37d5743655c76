//! Layers of odd shapes with and without scratch: whatever loop a core has for them, the bits are those of the host,
//! which runs the portable ones.

use std::time::Instant;

use carafe::blob::{Header, SectionEntry, section};
use carafe::ops::{ConvRecord, DenseRecord, PLAIN};
use carafe::record::Record;
use carafe::{Model, OpCode};
use carafe_hil::{Case, Host, Qemu, QemuOptions, Target};

use super::{BOARD, LIMIT, others};
use crate::support::{Builder, bytes};

/// Layers of each kind.
const LAYERS: usize = 150;

/// On the other boards.
const ELSEWHERE: usize = 60;

/// xorshift: the same layers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn weights(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| (self.next() % 255) as i8).map(|w| w.max(-127)).collect()
    }

    /// Bias and multiplier of channels that multiply `inputs` elements.
    fn channels(&mut self, n: usize, inputs: usize) -> Vec<u8> {
        let scale = (1u64 << 32) / (inputs as u64 * 200);
        let one = |r: &mut Self| {
            let (bias, m) = (r.below(1 << 14) as i32 - (1 << 13), (scale / 2 + r.next() % scale) as i32);
            [bias.to_le_bytes(), m.to_le_bytes()].concat()
        };
        (0..n).flat_map(|_| one(self)).collect()
    }

    fn bounds(&mut self) -> (i8, i8) {
        self.one(&[(-128, 127), (-128, 127), (-100, 90), (0, 127)])
    }
}

/// One layer from the input to the output.
fn layer(kind: OpCode, n: &mut Random) -> Vec<u8> {
    let mut b = Builder::default();
    let (lo, hi) = n.bounds();
    let mut shift = n.one(&[0, 0, 0, 1, 3, -2]);
    b.scratch(n.one(&[0, 500, 3000, 12_000, 12_000, 12_000]));
    let (zx, zy) = (n.next() as i8, n.next() as i8);
    // Pixels of a camera.
    let unsigned = kind == OpCode::Conv2d && n.below(5) == 0;
    let (x, y, fields, band) = if kind == OpCode::Dense {
        let (k, out) = (n.one(&[1, 3, 4, 8, 20, 36, 64]), 1 + n.below(13));
        let (weights, channels) = (n.weights(k * out), n.channels(out, k));
        let (weights, packing) = b.pairs(&weights, k, &channels);
        let hw = [1 + n.below(2), 1 + n.below(3)];
        let fields = bytes(&DenseRecord { lo, hi, shift, packing, weights });
        ([hw[0], hw[1], k], [hw[0], hw[1], out], fields, 1)
    } else {
        let depthwise = kind == OpCode::DepthwiseConv2d;
        let c = n.one(&[1, 2, 3, 4, 8, 12, 16, 20, 68]);
        let [kh, kw] = [0; 2].map(|_| n.one(&[1, 1, 2, 3, 3, 3, 5]));
        let [sh, sw] = [0; 2].map(|_| n.one(&[1, 1, 2, 3]));
        let [dh, dw] = [0; 2].map(|_| n.one(&[1, 1, 1, 2]));
        // What most networks are made of, for which there are loops of their own.
        let usual = n.below(3);
        let [kh, kw, dh, dw] = n.one(&[[kh, kw, dh, dw], [3, 3, 1, 1], [1, 1, 1, 1]]);
        if usual > 0 {
            shift = 0;
        }
        // For some of it, two rows are made at once, of many channels.
        let maps = !depthwise && n.below(3) == 0;
        let c = if maps { n.one(&[8, 16, 24, 40]) } else { c };
        let [kh, kw, sh, sw] = if maps { [3, 3, 1, 1] } else { [kh, kw, sh, sw] };
        let [dh, dw] = if maps { [1, 1] } else { [dh, dw] };
        let (pt, pl) = (n.below(kh + 1), n.below(kw + 1));
        let extent = |k: usize, d: usize| (k - 1) * d + 1;
        let (h, w) = (extent(kh, dh) + n.below(6), extent(kw, dw) + n.below(12));
        let inside = |size: usize, pad: usize, e: usize, s: usize| (size + 2 * pad - e) / s + 1;
        let out = if depthwise {
            c * n.one(&[1, 1, 1, 2])
        } else {
            n.one(if maps { &[8, 9, 10, 22] } else { &[1, 2, 3, 4, 7, 8, 10, 16] })
        };
        let y = [inside(h, pt, extent(kh, dh), sh), inside(w, pl, extent(kw, dw), sw), out];
        let depth = if depthwise { 1 } else { c };
        let (weights, channels) = (n.weights(out * kh * kw * depth), n.channels(out, kh * kw * depth));
        let (weights, packing) = if depthwise {
            (b.layer(&weights, &channels), PLAIN)
        } else {
            // One pixel alone is a dense layer.
            let alone = (kh, kw, h, w, pt, pl) == (1, 1, 1, 1, 0, 0) && c % 4 == 0 && !unsigned;
            if alone { b.pairs(&weights, c, &channels) } else { b.fours(&weights, kh * kw * depth, &channels) }
        };
        let [kernel_h, kernel_w, stride_h, stride_w] = [kh, kw, sh, sw].map(|x| x as u8);
        let [dilation_h, dilation_w, pad_top, pad_left] = [dh, dw, pt, pl].map(|x| x as u8);
        let fields = bytes(&ConvRecord {
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            lo,
            hi,
            shift,
            packing,
            weights,
        });
        ([h, w, c], y, fields, 1 + n.below(if maps { 6 } else { 3 }))
    };
    // Slices of wider pixels, at odd places.
    let beside = n.one(&[0, 0, 1, 3]);
    let whole = b.alone(x, zx, 0);
    let operand = if unsigned {
        // Read where they come in.
        b.unsigned(&whole);
        b.input(whole)
    } else {
        let place = b.slice(x, zx, 0, x[2] + beside, beside / 2);
        let input = b.input(whole);
        b.copy(input, place, 1)
    };
    let place = b.slice(y, zy, 0, y[2] + beside, beside / 2);
    let made = b.node(kind, fields, &[operand], place, band);
    let whole = b.alone(y, zy, 0);
    let output = b.copy(made, whole, 1);
    b.output(output);
    b.finish()
}

/// Where the constants of a blob begin.
fn constants(blob: &[u8]) -> u32 {
    let entries = blob[Header::SIZE..].chunks_exact(SectionEntry::SIZE).filter_map(SectionEntry::read);
    entries.take(16).find(|e| e.id == section::CONSTS).expect("constants").offset
}

/// How many layers a board ran, and how many it has no room for.
struct Tried {
    layers: usize,
    left_out: usize,
}

/// Runs as many layers of each kind, of those that fit, on a board and on the host.
fn try_layers(board: &str, count: usize) -> Option<Tried> {
    let mut target = match Qemu::start(board, QemuOptions::default()) {
        Ok(target) => target,
        Err(e) if e.is_unavailable() => {
            println!("skipped: odd_shapes on {board}: {e}");
            return None;
        }
        Err(e) => panic!("{board}: {e}"),
    };
    let room = (target.info().model_bytes, target.info().arena_bytes);
    let mut host = Host::new();
    let mut n = Random(0x9E37_79B9_7F4A_7C15);
    let mut tried = Tried { layers: 0, left_out: 0 };
    for kind in [OpCode::Conv2d, OpCode::DepthwiseConv2d, OpCode::Dense] {
        let (mut varied, mut ran) = (0, 0);
        for i in 0..count {
            let blob = layer(kind, &mut n);
            let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
            assert!(constants(&blob).is_multiple_of(4), "no fast loop would take constants that lie so");
            if blob.len() > room.0 || model.arena_bytes() > room.1 {
                tried.left_out += 1;
                continue;
            }
            let bytes = model.input(0).unwrap().bytes;
            let input: Vec<u8> = (0..bytes).map(|_| n.next() as u8).collect();
            let outputs = |target: &mut dyn Target| {
                target.load(&blob).unwrap();
                let outcome = target.exec(&Case::of(&[&input]), LIMIT);
                outcome.unwrap_or_else(|e| panic!("layer {i} of {}: {e}", kind.name())).outputs
            };
            let (want, got) = (outputs(&mut host), outputs(&mut target));
            assert_eq!(got, want, "{board}: layer {i} of {}", kind.name());
            varied += usize::from(want[0].iter().any(|&b| b != want[0][0]));
            ran += 1;
        }
        assert!(ran > 0 && varied > ran / 2, "{board}, {}: most results of {ran} are one number", kind.name());
        tried.layers += ran;
    }
    Some(tried)
}

#[test]
fn odd_shapes() {
    let Some(tried) = try_layers(BOARD, LAYERS) else { return };
    assert_eq!((tried.layers, tried.left_out), (3 * LAYERS, 0));
}

#[test]
fn odd_shapes_on_every_other_board() {
    for board in others() {
        let begun = Instant::now();
        if let Some(Tried { layers, left_out }) = try_layers(board, ELSEWHERE) {
            println!("{board}: {layers} layers in {:.1?}; {left_out} are too large for it", begun.elapsed());
        }
    }
}
