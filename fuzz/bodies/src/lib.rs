//! What the fuzz targets do with their bytes. Each function takes any bytes and panics only where the library does not
//! keep its word. The targets proper (`fuzz/fuzz_targets`) need nightly and libFuzzer; this needs neither, so a normal
//! test replays the seeds, and a change of an interface does not leave the targets behind.
#![forbid(unsafe_code)]

pub mod blob;
mod bytes;
pub mod dataset;
pub mod openvino;
pub mod protocol;
pub mod run;

pub use bytes::Bytes;
