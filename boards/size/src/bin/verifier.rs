//! The runtime without any op, for models that come over the wire: what is verified is paid for here.
#![no_std]
#![no_main]

carafe_size::program!(carafe_size::verify_and_infer(carafe::registry![]));
