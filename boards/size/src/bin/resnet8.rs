//! The runtime with the ops of MLPerf Tiny's image classification model, and the loops that `include_model!` finds it to
//! take: tiles, and one pixel alone.
#![no_std]
#![no_main]

use carafe::arithmetic::Native;
use carafe::ops::{Add, Conv2d, Dense, Mean, Softmax};

carafe_size::program!(carafe_size::infer(carafe::registry![Conv2d<Native, 2>, Add, Mean, Dense<Native, 4>, Softmax]));
