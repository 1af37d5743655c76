//! The program as its user has it: started with arguments, judged by its output, its exit code, and the files it leaves.

mod board;
mod boards;
mod common;
mod demo;
mod errors;
mod flash;
mod guide;
mod inputs;
mod interrupt;
mod json;
mod layer_diff;
mod plan;
mod port;
mod profile;
mod suite;
