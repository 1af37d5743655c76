//! The frontends: operators on small models, damaged files, and the real models where they are at hand.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod faults;
mod models;
mod numbers;
mod ops;
mod writer;
