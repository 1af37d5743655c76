//! The frontends: operators on small models, damaged files, and the real models where they are at hand.

mod damage;
mod faults;
mod models;
mod numbers;
mod ops;
mod writer;
