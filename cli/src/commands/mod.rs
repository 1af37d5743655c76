//! The commands: one file each, with its options, its JSON, and its text.

pub mod bench;
pub mod boards;
pub mod completions;
pub mod convert;
pub mod demo;
pub mod eval;
pub mod flash;
pub mod inspect;
pub mod keygen;
pub mod layer_diff;
pub mod profile;
pub mod run;
pub mod sign;
pub mod test;

mod check;
mod pace;
