//! The loops in portable Rust.

use super::{SUMS, Winograd};
use crate::pairs::Pair;
use crate::put::Put;
use crate::taps::Taps;

/// [`super::winograd`], whose arguments are checked.
pub fn winograd(
    lines: &Taps<'_, '_>,
    w: &Winograd,
    rows: usize,
    words: &mut [u32],
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    let (kernels, maps) = words.get_mut(SUMS..)?.split_at_mut_checked(w.kernels())?;
    for (m, map) in maps.chunks_mut(w.map()).take(rows.div_ceil(2)).enumerate() {
        fill_map(map, lines.slices().get(2 * m..)?.get(..4)?, w)?;
    }
    let parameters = channels.as_chunks::<16>().0;
    for (pair, channels) in parameters.iter().enumerate() {
        fill_kernels(kernels, &Pair::of_fours(weights, 9 * w.inputs, parameters.len(), pair)?, w)?;
        let parameters = channels.split_at(8);
        for row in 0..rows {
            let map = maps.get(row / 2 * w.map()..)?;
            for x in 0..w.width {
                let at = put.at[0] + row * w.out_row + x * w.out_step + 2 * pair;
                let to = out.get_mut(at..)?.get_mut(..2)?;
                for (channel, to) in to.iter_mut().enumerate() {
                    let sum = |which: usize| sum(map, kernels, w, (x, channel, which));
                    let (a, b) = (sum(1)?, sum(2)?);
                    let twice = match row % 2 {
                        0 => a.wrapping_add(b).wrapping_add(sum(0)?),
                        _ => a.wrapping_sub(b).wrapping_add(sum(3)?),
                    };
                    let parameters = if channel == 0 { parameters.0 } else { parameters.1 };
                    *to = crate::tile::finish(twice >> 1, parameters, put);
                }
            }
        }
    }
    Some(())
}

/// Two halves of a word.
fn both(word: u32) -> [i32; 2] {
    [i32::from(word as i16), i32::from((word >> 16) as i16)]
}

/// Adds, or takes away, halfword by halfword.
fn halfwise(a: u32, b: u32, f: impl Fn(i16, i16) -> i16) -> u32 {
    crate::halves(f(a as i16, b as i16), f((a >> 16) as i16, (b >> 16) as i16))
}

fn plus(a: u32, b: u32) -> u32 {
    halfwise(a, b, i16::wrapping_add)
}

fn minus(a: u32, b: u32) -> u32 {
    halfwise(a, b, i16::wrapping_sub)
}

/// For every two inputs, in the order of [`crate::place`], and every column, four words.
fn fill_map(map: &mut [u32], lines: &[&[u8]], w: &Winograd) -> Option<()> {
    let columns = w.width + 2;
    let element = |byte: u8| i16::from(byte as i8);
    for x in 0..columns {
        for two in 0..w.inputs / 2 {
            let first = two / 2 * 4 + two % 2;
            let mut d = [crate::halves(i16::from(w.zero), i16::from(w.zero)); 4];
            if let Some(column) = x.checked_sub(w.pad).filter(|&column| column < w.columns) {
                for (d, line) in d.iter_mut().zip(lines).filter(|(_, line)| !line.is_empty()) {
                    let pixel = line.get(column * w.pixel + first..)?;
                    *d = crate::halves(element(*pixel.first()?), element(*pixel.get(2)?));
                }
            }
            let [d0, d1, d2, d3] = d;
            let sums = [minus(d0, d2), plus(d1, d2), minus(d2, d1), minus(d3, d1)];
            map.get_mut(4 * (two * columns + x)..)?.get_mut(..4)?.copy_from_slice(&sums);
        }
    }
    Some(())
}

/// For every two inputs, sum, and column of the kernel, a word of either channel.
fn fill_kernels(kernels: &mut [u32], weights: &Pair<'_>, w: &Winograd) -> Option<()> {
    let twos = w.inputs / 2;
    for column in 0..3 {
        for two in 0..twos {
            let word = |row: usize| weights.word((3 * row + column) * twos + two);
            let g = [word(0)?, word(1)?, word(2)?];
            for channel in 0..2 {
                let of = |word: [[i32; 2]; 2]| {
                    let [first, second] = word.map(|[whole, a]| if channel == 0 { a } else { (whole - a) >> 8 });
                    crate::halves(first as i16, second as i16)
                };
                let [g0, g1, g2] = g.map(of);
                let outer = plus(g0, g2);
                for (slot, sum) in
                    [plus(g0, g0), plus(outer, g1), minus(outer, g1), plus(g2, g2)].into_iter().enumerate()
                {
                    *kernels.get_mut(6 * (4 * two + slot) + 2 * column + channel)? = sum;
                }
            }
        }
    }
    Some(())
}

/// Sum `which` of a pixel and channel.
fn sum(map: &[u32], kernels: &[u32], w: &Winograd, (x, channel, which): (usize, usize, usize)) -> Option<i32> {
    let twos = w.inputs / 2;
    let mut sum = 0i32;
    for two in 0..twos {
        for column in 0..3 {
            let d = both(*map.get(4 * (two * (w.width + 2) + x + column) + which)?);
            let g = both(*kernels.get(6 * (4 * two + which) + 2 * column + channel)?);
            sum = sum.wrapping_add(d[0].wrapping_mul(g[0])).wrapping_add(d[1].wrapping_mul(g[1]));
        }
    }
    Some(sum)
}
