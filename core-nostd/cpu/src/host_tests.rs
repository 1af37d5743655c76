//! The host's loops compute what the portable ones do, to the bit.

use std::vec;
use std::vec::Vec;

use proptest::collection::vec as some;
use proptest::prelude::*;

use crate::depthwise::prepare_portably;
use crate::put::{PIXELS, Put, Run};
use crate::slide::slide_portably;
use crate::tiles::tiles_portably;
use crate::{Alike, Slide, Stream, TAPS, Taps, Work, host};

/// False if this machine has no such loops, which is said.
fn there() -> bool {
    let there = host::dot_u8(&[], &[]).is_some();
    if !there {
        std::println!("skipped: loops of the host: this machine lacks the vectors they need");
    }
    there
}

/// Whatever bytes, the same ones of the same seed: made here, since a strategy of thousands of bytes is slow.
fn bytes(seed: u64, n: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..n).map(|_| next()).collect()
}

fn words(seed: u64, n: usize) -> Vec<u32> {
    bytes(seed, 4 * n).as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect()
}

proptest! {
    #[test]
    fn tiles_are_equal(
        seed: u64,
        (twos, pairs) in (1usize..90, 1usize..23),
        (zero_point, shift) in (any::<i8>(), 0u8..32),
        odd: bool,
        (gap, begin, same) in (0usize..5, 0usize..9, any::<bool>()),
    ) {
        if !there() {
            return Ok(());
        }
        // Inputs come by fours, and none is greater than a byte.
        let twos = 2 * twos;
        let element = |x: u8| u32::from(i16::from(x as i8) as u16);
        let x: Vec<u32> = bytes(seed, 2 * PIXELS * twos).as_chunks().0.iter().map(|&[a, b]| element(a) | element(b) << 16).collect();
        let (_, mut weights) = crate::fours(bytes(seed ^ 1, 4 * twos * pairs), 2 * twos);
        weights.extend(bytes(seed, (seed % 5) as usize));
        let channels = bytes(seed ^ 2, 16 * pairs + 8 * usize::from(odd));
        let step = if same { 0 } else { 2 * pairs + gap };
        let put = Put { zero_point, shift, at: [begin, begin + step] };
        let mut want = bytes(seed ^ 3, begin + step + 2 * pairs + gap);
        let mut got = want.clone();
        crate::tile::tile_portably(&x, &weights, &channels, &put, &mut want).unwrap();
        prop_assert!(host::tile(&x, &weights, &channels, &put, &mut got));
        prop_assert_eq!(got, want);
    }

    #[test]
    fn rows_of_tiles_are_equal(
        seed: u64,
        (lines, run, pixels) in (1usize..5, 1usize..60, 1usize..24),
        (distance, gap, begin) in (0usize..70, 0usize..5, 0usize..9),
        (pairs, zero_point, shift) in (1usize..11, any::<i8>(), 0u8..32),
        (unsigned, odd, byte, absent) in (any::<bool>(), any::<bool>(), any::<u8>(), any::<u8>()),
        below in proptest::option::of(0usize..90),
        mut list in some(any::<u32>(), TAPS),
    ) {
        if !there() {
            return Ok(());
        }
        let inputs = (lines * run).next_multiple_of(4);
        let last = pixels - 1;
        let zero = crate::element(byte, unsigned);
        let out_step = 2 * pairs + gap;
        let below = below.map(|below| [below, pixels * out_step + gap]);
        let [more, out_more] = below.unwrap_or_default();
        let alike = Alike { run, distance, unsigned, zero, tiles: 0, odd: false, out_step, below }.of(pixels);
        prop_assert_eq!(alike.pixels(), pixels);
        let x: Vec<_> = (0..lines as u64).map(|k| bytes(seed ^ k, last * distance + more + run + 1)).collect();
        let mut taps = Taps::new(&mut list);
        for (k, x) in x.iter().enumerate() {
            // Lines of the padding come in words.
            let pad = run % 4 == 0 && absent >> k & 1 == 1;
            if pad { taps.pad().unwrap() } else { taps.push(x).unwrap() }
        }
        let (_, weights) = crate::fours(bytes(seed ^ 7, 2 * inputs * pairs), inputs);
        let channels = bytes(seed ^ 8, 16 * pairs + 8 * usize::from(odd));
        let put = Put { zero_point, shift, at: [begin; PIXELS] };
        let mut want = bytes(seed ^ 9, begin + last * alike.out_step + out_more + 2 * pairs + 3);
        let mut got = want.clone();
        let (mut columns, mut windows) = (vec![0; inputs / 2 * PIXELS], vec![0; PIXELS * inputs]);
        let mut one = vec![0; inputs];
        // Lines that are no words become windows, whose ends are zeros: those of the weights meet them, else.
        let window = if run % 4 == 0 { &mut [][..] } else { &mut one[..] };
        tiles_portably(&taps, &alike, (&mut columns, window), (&weights, &channels), &put, &mut want).unwrap();
        let windows: &mut [u8] = if run % 4 == 0 { &mut [] } else { &mut windows };
        let mut work = Work { columns: &mut columns, windows };
        crate::tiles(&taps, &alike, &mut work, (&weights, &channels), &put, &mut got).unwrap();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn slid_kernels_are_equal(
        seed: u64,
        (fours, columns, pad, width, rows) in (1usize..8, 1usize..12, 0usize..3, 1usize..9, 1usize..4),
        (wide, down, zero, zero_point) in (any::<bool>(), 1usize..3, any::<i8>(), any::<i8>()),
        (gap, out_gap, row_gap, more) in (0usize..5, 0usize..5, 0usize..5, 0usize..9),
        (absent, mut list) in (any::<u16>(), some(any::<u32>(), TAPS)),
    ) {
        if !there() {
            return Ok(());
        }
        let channels = 4 * fours;
        let out_step = channels + out_gap;
        let s = Slide {
            pixel: channels + gap,
            columns,
            pad,
            wide,
            down,
            zero,
            tap: channels + gap,
            width,
            rows,
            out_step,
            out_row: width * out_step + row_gap,
            zero_point,
        };
        let count = s.lines(rows);
        let x: Vec<_> = (0..count as u64).map(|k| bytes(seed ^ k, (columns - 1) * s.pixel + channels + more)).collect();
        let mut lines = Taps::new(&mut list);
        for (k, x) in x.iter().enumerate() {
            if absent >> k & 1 == 0 { lines.push(x).unwrap() } else { lines.pad().unwrap() }
        }
        let (weights, parameters) = (bytes(seed ^ 20, 9 * s.tap), bytes(seed ^ 21, 8 * channels));
        let mut want = bytes(seed ^ 22, rows * s.out_row);
        let mut got = want.clone();
        slide_portably(&lines, &s, (&weights, &parameters), &mut want).unwrap();
        crate::slide((true, true), &lines, &s, &mut vec![0; s.work(count)], (&weights, &parameters), &mut got).unwrap();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn dense_layers_are_equal(seed: u64, fours in 1usize..45, pairs in 1usize..23, zero_point: i8, shift in 0u8..32) {
        if !there() {
            return Ok(());
        }
        let x = bytes(seed, 4 * fours);
        let (weights, channels) = (bytes(seed ^ 1, 8 * fours * pairs), bytes(seed ^ 2, 16 * pairs));
        let put = Put { zero_point, shift, at: [0; PIXELS] };
        let [mut want, mut got] = [vec![7; 2 * pairs + 3], vec![7; 2 * pairs + 3]];
        crate::dense::dense_portably(&x, &weights, &channels, &put, &mut want);
        prop_assert!(host::dense(&x, &weights, &channels, &put, &mut got));
        prop_assert_eq!(got, want);
    }

    #[test]
    fn widened_inputs_are_equal(x in some(any::<u8>(), 0..150), room in 0usize..300, unsigned: bool, seed: u64) {
        if !there() {
            return Ok(());
        }
        let mut want = words(seed, room);
        let mut got = want.clone();
        crate::tile::widen_portably(&mut want, &x, unsigned);
        if host::widen(&mut got, &x, unsigned) {
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn dot_products_are_equal(x in some(any::<u8>(), 0..120), w in some(any::<u8>(), 0..240)) {
        if !there() {
            return Ok(());
        }
        let sum = |x: &[i32], w: &[i32]| x.iter().zip(w).fold(0i32, |sum, (x, w)| sum.wrapping_add(x.wrapping_mul(*w)));
        let signed = |x: &[u8]| x.iter().map(|&x| i32::from(x as i8)).collect::<Vec<_>>();
        let unsigned = |x: &[u8]| x.iter().map(|&x| i32::from(x)).collect::<Vec<_>>();
        let (sx, ux, sw) = (signed(&x), unsigned(&x), signed(&w));
        prop_assert_eq!(host::dot(&x, [&w, &x]), Some([sum(&sx, &sw), sum(&sx, &sx)]));
        prop_assert_eq!(host::dot_u8(&x, &w), Some(sum(&ux, &sw)));
        // Of the pairs, by groups of four: those that lack are zeros.
        let mut w = w;
        w.truncate(w.len() / 8 * 8);
        let halves = (0..x.len()).map(|i| w.as_chunks().0.get(crate::place(i)).map_or(0, |&w| i16::from_le_bytes(w)));
        let halves: Vec<i32> = halves.map(i32::from).collect();
        let low: Vec<i32> = halves.iter().map(|&w| i32::from(w as i8)).collect();
        prop_assert_eq!(host::dot_pairs(&x, &w, false), Some([sum(&sx, &halves), sum(&sx, &low)]));
        prop_assert_eq!(host::dot_pairs(&x, &w, true), Some([sum(&ux, &halves), sum(&ux, &low)]));
    }

    #[test]
    fn depthwise_weights_are_equal(seed: u64, taps in 1usize..=TAPS, stride in 4usize..40, more in 0usize..9) {
        if !there() {
            return Ok(());
        }
        let weights = bytes(seed, (taps - 1) * stride + 4 + more);
        let mut want = words(seed ^ 1, 4 * taps.div_ceil(2));
        let mut got = want.clone();
        prepare_portably(&mut want, &weights, stride, taps).unwrap();
        if host::prepare(&mut got, &weights, stride, taps) {
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn depthwise_runs_are_equal(
        seed: u64,
        (fours, taps, pixels) in (1usize..12, 1usize..=TAPS, 1usize..9),
        (gap, out_gap, more) in (0usize..9, 0usize..9, 0usize..9),
        (zero_point, shift) in (any::<i8>(), 0u8..32),
        mut list in some(any::<u32>(), TAPS),
    ) {
        if !there() {
            return Ok(());
        }
        let channels = 4 * fours;
        let run = Run { pixels, step: channels + gap, out_step: channels + out_gap, zero_point, shift };
        let weights = bytes(seed, taps * channels);
        let parameters = bytes(seed ^ 1, 8 * channels);
        let mut stream = vec![0; fours * Stream::group(taps)];
        let stream = Stream::prepare(&mut stream, &weights, (channels, taps), &parameters).unwrap();
        let x: Vec<_> = (0..taps as u64).map(|k| bytes(seed ^ k, (pixels - 1) * run.step + channels + more)).collect();
        let mut at = Taps::new(&mut list);
        x.iter().for_each(|x| at.push(x).unwrap());
        let mut want = bytes(seed ^ 2, pixels * run.out_step);
        let mut got = want.clone();
        stream.run_portably(&at, &run, &mut want).unwrap();
        stream.run(&mut at, &run, &mut got).unwrap();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn plain_loops_are_equal(v in some((any::<i32>(), any::<u8>(), any::<u8>()), 0..150), x: i16, lo: i8, hi: i8) {
        let acc: Vec<i32> = v.iter().map(|v| v.0).collect();
        let [a, b]: [Vec<u8>; 2] = [v.iter().map(|v| v.1).collect(), v.iter().map(|v| v.2).collect()];
        let sums = |f: &dyn Fn(&mut [i32])| {
            let mut acc = acc.clone();
            f(&mut acc);
            acc
        };
        let want = |f: &dyn Fn(&(i32, u8, u8)) -> i32| v.iter().map(|v| v.0.wrapping_add(f(v))).collect::<Vec<_>>();
        let number = |x: u8| i32::from(x as i8);
        prop_assert_eq!(
            sums(&|acc| crate::multiply_add(acc, &a, &b)),
            want(&|v| number(v.1) * number(v.2))
        );
        prop_assert_eq!(sums(&|acc| crate::multiply_add_scalar(acc, x, &b)), want(&|v| i32::from(x) * number(v.2)));
        prop_assert_eq!(sums(&|acc| crate::add(acc, &a)), want(&|v| number(v.1)));
        let (mut most, mut cut) = (a.clone(), a.clone());
        crate::max(&mut most, &b);
        crate::clamp(&mut cut, lo, hi);
        for ((v, most), cut) in v.iter().zip(most).zip(cut) {
            prop_assert_eq!(most as i8, (v.1 as i8).max(v.2 as i8));
            prop_assert_eq!(cut as i8, (v.1 as i8).max(lo).min(hi));
        }
    }
}
