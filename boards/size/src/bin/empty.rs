//! The runtime without any op, for a model that was verified when it was compiled: what every product pays.
#![no_std]
#![no_main]

carafe_size::program!(carafe_size::infer(carafe::registry![]));
