//! A program that can panic, in two of the ways in which it happens by accident. `xtask size` has to find both: a
//! check that finds nothing in this program finds nothing anywhere.
#![no_std]
#![no_main]

use core::hint::black_box;

carafe_size::program!(carafe_size::with_memory(|blob, arena| {
    let [first, second] = black_box([0usize, 1]);
    black_box(blob[first]);
    arena.copy_from_slice(&blob[..second]);
}));
