//! The runtime with the ops of MLPerf Tiny's image classification model.
#![no_std]
#![no_main]

use carafe::ops::{Add, Conv2d, Dense, Mean, Softmax};

carafe_size::program!(carafe_size::infer(carafe::registry![Conv2d, Add, Mean, Dense, Softmax]));
