//! The runtime with every op in both arithmetics: what firmware pays that takes models over the wire.
#![no_std]
#![no_main]

carafe_size::program!(carafe_size::verify_and_infer(carafe::ops::ALL));
