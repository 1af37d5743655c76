//! The runtime with the ops of MLPerf Tiny's image classification model.
#![no_std]
#![no_main]

use carafe::ops::{Add, Conv2d, Dense, Mean, Softmax};

#[cortex_m_rt::entry]
fn main() -> ! {
    carafe_size::infer(carafe::registry![Conv2d, Add, Mean, Dense, Softmax]);
    carafe_size::rest()
}
