//! The runtime with the ops of MLPerf Tiny's image classification model, as `include_model!` names them: proven, with the
//! loops that it finds them to take, which are maps of two rows, tiles, and one pixel alone, of weights in fours and pairs, and no bounds.
#![no_std]
#![no_main]

use carafe::arithmetic::Native;
use carafe::ops::{Add, Conv2d, Dense, Mean, Softmax};
use carafe::{OpEntry, Registry};

static OPS: &[OpEntry] = &[
    OpEntry::proven::<Conv2d<Native, 0x4402>>(),
    OpEntry::proven::<Add<Native, 0x1>>(),
    OpEntry::proven::<Mean>(),
    OpEntry::proven::<Dense<Native, 0x404>>(),
    OpEntry::proven::<Softmax>(),
];

carafe_size::program!(carafe_size::infer(Registry::new(&OPS)));
