//! The runtime with every op in both arithmetics: what firmware pays that takes models over the wire.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    carafe_size::infer(carafe::ops::ALL);
    carafe_size::rest()
}
