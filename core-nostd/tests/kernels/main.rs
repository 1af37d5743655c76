//! Every kernel, in native arithmetic, against a plain reference over whole maps.

mod elementwise;
mod frame;
mod reference;
mod selection;
#[path = "../support/mod.rs"]
mod support;
mod views;
mod windows;
