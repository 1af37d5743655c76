//! The runtime without any op: what every product pays.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    carafe_size::infer(carafe::registry![]);
    carafe_size::rest()
}
