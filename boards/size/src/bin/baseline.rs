//! Start-up code, vectors and the memory of a model, but no runtime: what is subtracted from the others.
#![no_std]
#![no_main]

use core::hint::black_box;

#[cortex_m_rt::entry]
fn main() -> ! {
    carafe_size::with_memory(|blob, arena| {
        black_box((blob, arena));
    });
    carafe_size::rest()
}
