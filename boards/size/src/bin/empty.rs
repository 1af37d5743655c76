//! The runtime without any op: what every product pays.
#![no_std]
#![no_main]

carafe_size::program!(carafe_size::infer(carafe::registry![]));
