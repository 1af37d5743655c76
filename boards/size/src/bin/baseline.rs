//! The memory of a model, but no runtime: what is subtracted from the others.
#![no_std]
#![no_main]

use core::hint::black_box;

carafe_size::program!(carafe_size::with_memory(|blob, arena| {
    black_box((blob, arena));
}));
