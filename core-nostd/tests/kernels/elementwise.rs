//! Dense, add, mean, softmax, tables: row y of the result from row y of the operands, or from all of them.

use carafe::ops::{AddRecord, DenseRecord, LutRecord, MeanRecord, MulRecord, PAIRS, PLAIN, QUADS, SoftmaxRecord};
use carafe::{OpCode, Window};
use proptest::prelude::*;

use crate::frame::{Frame, frame};
use crate::reference::{Map, bounds, finish, map, requantize, sum, zero_point};
use crate::support::{Builder, Place, bytes, run};
use crate::windows::scratch;

/// How the result of an addition lies to its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onto {
    /// Apart.
    Apart,
    /// In place of the first or second operand.
    Operand(usize),
    /// Apart; the operands are slices of the same pixels.
    Beside,
    /// Apart; the operands are one and the same tensor.
    Itself,
}

#[derive(Clone, Debug)]
struct Addition {
    a: Map,
    b: Vec<i8>,
    numbers: (i32, i32, i32, i8),
    bounds: (i8, i8),
    onto: Onto,
    frame: Frame,
}

fn addition() -> impl Strategy<Value = Addition> {
    let onto = prop_oneof![
        Just(Onto::Apart),
        Just(Onto::Operand(0)),
        Just(Onto::Operand(1)),
        Just(Onto::Beside),
        Just(Onto::Itself)
    ];
    let numbers = (-32767i32..32768, -32767i32..32768, -(1i32 << 26)..1 << 26, 0i8..=22);
    map(9, 5, 6).prop_flat_map(move |a| {
        let b = proptest::collection::vec(any::<i8>(), a.data.len());
        (Just(a), b, numbers.clone(), bounds(), onto.clone(), frame())
            .prop_map(|(a, b, numbers, bounds, onto, frame)| Addition { a, b, numbers, bounds, onto, frame })
    })
}

impl Addition {
    fn blob(&self) -> Vec<u8> {
        let mut m = Builder::default();
        let (a_multiplier, b_multiplier, out_multiplier, out_shift) = self.numbers;
        let (lo, hi) = self.bounds;
        let record =
            AddRecord { a_multiplier, b_multiplier, out_multiplier, a_shift: 0, b_shift: 0, out_shift, lo, hi };
        // In place, the bands of operand and result fill one ring.
        let f = if let Onto::Operand(_) = self.onto {
            Frame { beside_out: self.frame.beside_in, ..self.frame.in_place() }
        } else {
            self.frame
        };
        let (hwc, z) = (self.a.hwc, self.a.zero_point);
        let (a, b) = (f.input(&mut m, hwc, z), f.input(&mut m, hwc, z));
        let pa = f.operand(&mut m, hwc, z, hwc[0], Window::SAME);
        let pb = match self.onto {
            Onto::Beside => {
                // Rows of 2c channels, a to the left and b to the right.
                let rows = f.ring_in.map_or(0, |more| (f.band + f.before - 1 + more).next_multiple_of(f.before));
                m.slice(hwc, z, rows, 2 * hwc[2], hwc[2])
            }
            _ => f.operand(&mut m, hwc, z, hwc[0], Window::SAME),
        };
        let pa = if self.onto == Onto::Beside { Place { offset: 0, ..pb } } else { pa };
        let (a, b) = (m.copy(a, pa, f.before), m.copy(b, pb, f.before));
        let apart = f.result(&mut m, hwc, z);
        let (place, operands) = match self.onto {
            Onto::Operand(0) => (pa, [a, b]),
            Onto::Operand(_) => (pb, [a, b]),
            Onto::Itself => (apart, [a, a]),
            Onto::Apart | Onto::Beside => (apart, [a, b]),
        };
        let node = m.node(OpCode::Add, bytes(&record), &operands, place, f.band);
        f.output(&mut m, node, hwc, z);
        if self.onto == Onto::Itself {
            // b is read by nobody: let it be an output, so that it is made.
            f.output(&mut m, b, hwc, z);
        }
        m.finish()
    }
}

/// Entry d is e^(−d·scale) in 1/65535, up to the first that is 0.
fn exponentials(scale: f64) -> Vec<u16> {
    (0..256).map(|d| (65535.0 * (-f64::from(d) * scale).exp()).round() as u16).take_while(|&e| e > 0).collect()
}

/// A model of one op without numbers of its own, with the result in place of the operand or apart.
fn elementwise(f: &Frame, b: Builder, op: OpCode, fields: Vec<u8>, x: &Map, zero_point: i8, onto: bool) -> Vec<u8> {
    if !onto {
        return f.unary(b, op, fields, (x.hwc, x.zero_point), (x.hwc, zero_point), Window::SAME, 0);
    }
    let mut b = b;
    let f = f.in_place();
    let input = f.input(&mut b, x.hwc, x.zero_point);
    let place = f.operand(&mut b, x.hwc, x.zero_point, x.hwc[0], Window::SAME);
    let operand = b.copy(input, place, f.before);
    let node = b.node(op, fields, &[operand], Place { zero_point, ..place }, f.band);
    f.output(&mut b, node, x.hwc, zero_point);
    b.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn additions(t in addition()) {
        let b = if t.onto == Onto::Itself { &t.a.data } else { &t.b };
        let pairs = t.a.data.iter().zip(b);
        let want: Vec<i8> =
            pairs.map(|(&a, &b)| sum(i64::from(a), i64::from(b), t.numbers, t.bounds)).collect();
        let got = run(&t.blob(), &[t.a.data.clone(), t.b.clone()]);
        prop_assert_eq!(got.map(|mut o| o.remove(0)), Ok(want));
    }

    /// Of two maps, in place of either or apart; or of a map and one pixel.
    #[test]
    fn products(
        a in map(9, 5, 6), numbers in (0i32..=i32::MAX, -8i8..=4), zeros in [zero_point(), zero_point()],
        bounds in bounds(), gate in any::<bool>(), onto in proptest::option::of(0usize..2), seed in any::<u8>(), f in frame(),
    ) {
        let [h, w, c] = a.hwc;
        let small = if gate { [1, 1, c] } else { a.hwc };
        let b = Map::make(small, |y, x, i| (y * 41 + x * 29 + i * 83 + usize::from(seed)) as i8);
        let b = Map { hwc: small, zero_point: zeros[0], data: b };
        let (multiplier, shift) = numbers;
        let record = MulRecord { multiplier, shift, lo: bounds.0, hi: bounds.1 };
        let mut m = Builder::default();
        let onto = onto.filter(|&k| k == 0 || !gate);
        // In place, the bands of operand and result fill one ring.
        let f = if onto.is_some() { f.in_place() } else { f };
        let inputs = [f.input(&mut m, a.hwc, a.zero_point), f.input(&mut m, small, b.zero_point)];
        let window = if gate { Window::ALL } else { Window::SAME };
        let places = [
            f.operand(&mut m, a.hwc, a.zero_point, h, Window::SAME),
            f.operand(&mut m, small, b.zero_point, h, window),
        ];
        let operands = [0, 1].map(|k| m.copy(inputs[k], places[k], f.before));
        let place = match onto {
            Some(k) => Place { zero_point: zeros[1], ..places[k] },
            None => f.result(&mut m, a.hwc, zeros[1]),
        };
        let node = m.node(OpCode::Mul, bytes(&record), &operands, place, f.band);
        f.output(&mut m, node, a.hwc, zeros[1]);
        let at = |y, x, i| if gate { b.at(0, 0, i) } else { b.at(y, x, i) };
        let want = Map::make([h, w, c], |y, x, i| {
            let product = (a.at(y, x, i) - i64::from(a.zero_point)) * (at(y, x, i) - i64::from(b.zero_point));
            finish(requantize(product, multiplier, shift), zeros[1], bounds)
        });
        prop_assert_eq!(run(&m.finish(), &[a.data.clone(), b.data.clone()]), Ok(vec![want]));
    }

    #[test]
    fn dense_layers(x in prop_oneof![map(4, 3, 40), map(2, 1, 300)], n in 1usize..20, seed in any::<u64>(), shift in -8i8..=4, zy in zero_point(), bounds in bounds(), f in frame(), packing in 0u8..=2, scratch in scratch()) {
        let mut state = seed | 1;
        let mut random = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let k = x.hwc[2];
        let least = if packing == QUADS { -127 } else { -128 };
        let weights: Vec<i8> = (0..n * k).map(|_| (random() as i8).max(least)).collect();
        let parameters: Vec<(i32, i32)> = (0..n).map(|_| (random() as i32 >> 12, (random() as i32 >> 1).abs())).collect();
        let mut b = Builder::default();
        let channels: Vec<u8> = parameters.iter().flat_map(|(c, m)| [c.to_le_bytes(), m.to_le_bytes()].concat()).collect();
        let (place, packing) = match packing {
            PAIRS => b.pairs(&weights, k, &channels),
            QUADS => b.quads(&weights, k, &channels),
            _ => (b.layer(&weights, &channels), PLAIN),
        };
        b.scratch(scratch);
        let record = DenseRecord { lo: bounds.0, hi: bounds.1, shift, packing, weights: place };
        let out = [x.hwc[0], x.hwc[1], n];
        let blob = f.unary(b, OpCode::Dense, bytes(&record), (x.hwc, x.zero_point), (out, zy), Window::SAME, 0);
        let want = Map::make(out, |y, col, o| {
            let acc: i64 = (0..k).map(|i| x.at(y, col, i) * i64::from(weights[o * k + i])).sum();
            let (bias, m) = parameters[o];
            finish(requantize(acc + i64::from(bias), m, shift), zy, bounds)
        });
        prop_assert_eq!(run(&blob, std::slice::from_ref(&x.data)), Ok(vec![want]));
    }

    /// A reduction that takes rows as they come: the ring holds fewer rows than the map has.
    #[test]
    fn means(x in map(12, 6, 21), m in 1i32 << 12..i32::MAX, shift in -4i8..=4, zy in zero_point(), bounds in bounds(), f in frame()) {
        let n = (x.hwc[0] * x.hwc[1]) as i64;
        let bias = -n * i64::from(x.zero_point);
        let record = MeanRecord { bias: bias as i32, multiplier: m, shift, lo: bounds.0, hi: bounds.1 };
        let out = [1, 1, x.hwc[2]];
        // The reduction takes each band of the node before as soon as it is made.
        let one = Window { num: 0, den: 1, pad: 0, extent: 1 };
        let blob = f.unary(Builder::default(), OpCode::Mean, bytes(&record), (x.hwc, x.zero_point), (out, zy), one, 4 * x.hwc[2]);
        let want = Map::make(out, |_, _, c| {
            let sum: i64 = (0..x.hwc[0]).flat_map(|y| (0..x.hwc[1]).map(move |w| (y, w))).map(|(y, w)| x.at(y, w, c)).sum();
            finish(requantize(sum + bias, m, shift), zy, bounds)
        });
        prop_assert_eq!(run(&blob, std::slice::from_ref(&x.data)), Ok(vec![want]));
    }

    #[test]
    fn softmaxes(x in map(4, 3, 30), scale in 0.001f64..0.5, f in frame(), onto in any::<bool>()) {
        let table = exponentials(scale);
        let mut b = Builder::default();
        let entries: Vec<u8> = table.iter().flat_map(|e| e.to_le_bytes()).collect();
        let record = SoftmaxRecord { table: b.consts(&entries), entries: table.len() as u16, multiplier: 0, shift: 0, diff_min: 0 };
        let blob = elementwise(&f, b, OpCode::Softmax, bytes(&record), &x, -128, onto);
        let got = run(&blob, std::slice::from_ref(&x.data)).unwrap().remove(0);
        for (pixel, got) in x.data.chunks(x.hwc[2]).zip(got.chunks(x.hwc[2])) {
            let max = i64::from(*pixel.iter().max().unwrap());
            let exp: Vec<i64> = pixel.iter().map(|&q| table.get((max - i64::from(q)) as usize).map_or(0, |&e| i64::from(e))).collect();
            let total: i64 = exp.iter().sum();
            let real: Vec<f64> = pixel.iter().map(|&q| (scale * f64::from(q)).exp()).collect();
            let real_total: f64 = real.iter().sum();
            for i in 0..pixel.len() {
                let want = ((256 * exp[i] + total / 2) / total).min(255) - 128;
                prop_assert_eq!(i64::from(got[i]), want);
                let probability = (f64::from(got[i]) + 128.0) / 256.0;
                prop_assert!((probability - real[i] / real_total).abs() < 1.01 / 256.0, "{probability} {}", real[i] / real_total);
            }
        }
    }

    #[test]
    fn tables(x in map(6, 4, 7), table in proptest::collection::vec(any::<u8>(), 256), copy in any::<bool>(), f in frame(), onto in any::<bool>()) {
        let mut b = Builder::default();
        let fields = LutRecord { table: if copy { LutRecord::COPY } else { b.consts(&table) } };
        let blob = elementwise(&f, b, OpCode::Lut, bytes(&fields), &x, 5, onto);
        let want: Vec<i8> = x.data.iter().map(|&q| if copy { q } else { table[(i16::from(q) + 128) as usize] as i8 }).collect();
        prop_assert_eq!(run(&blob, std::slice::from_ref(&x.data)), Ok(vec![want]));
    }
}
