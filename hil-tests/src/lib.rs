//! Runs models on targets (this computer, an emulated board, a real one) in the same words, and holds one against the
//! other.
//!
//! * [`Target`]: [`Host`] runs a model in this process, [`Qemu`] on an emulated board, [`SerialBoard`] on one behind a
//!   serial port.
//! * [`Client`] speaks the boards' protocol over any [`Transport`].
//! * [`Suite`] is a list of cases; [`Suite::run`] runs it on several targets and compares the bits.
//! * [`suite_file`] has suites as files, for `carafe test`: inputs, expectations, limits, faults.
//! * [`LayerDiff::run`] finds the first row of the first tensor that two targets make different.
//! * [`firmware::build`] makes a board's firmware from the checkout; [`bench::measure`] one for a single model, and counts
//!   its instructions; [`pace::measure`] says how fast the host runs it.
//!
//! ```no_run
//! use std::time::Duration;
//! use carafe_hil::{Case, Host, Qemu, QemuOptions, Target};
//!
//! # fn main() -> Result<(), carafe_hil::Error> {
//! let model = std::fs::read("kws.carafe").unwrap();
//! let input = vec![0u8; 490];
//! let mut targets: Vec<Box<dyn Target>> =
//!     vec![Box::new(Host::new()), Box::new(Qemu::start("qemu-mps2-an386", QemuOptions::default())?)];
//! for target in &mut targets {
//!     target.load(&model)?;
//!     let outcome = target.exec(&Case::of(&[&input]), Duration::from_secs(10))?;
//!     println!("{}: {:?}", target.id(), outcome.outputs);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
mod client;
pub mod elf;
mod error;
pub mod firmware;
mod flash;
mod host;
mod layer_diff;
mod log;
pub mod pace;
pub mod probe;
mod qemu;
mod remote;
pub mod sample;
mod serial;
mod suite;
pub mod suite_file;
mod target;
mod transport;

pub use carafe_protocol as protocol;
pub use client::{BoardInfo, Client, Ran};
pub use error::{Error, key_id};
pub use flash::FlashProgress;
pub use host::Host;
pub use layer_diff::{ElementDifference, Finding, LayerDiff, OrderDifference, RowDifference};
pub use log::{LogDecoder, LogLine};
pub use qemu::{Link, Qemu, QemuOptions};
pub use serial::{BAUD, PortName, Serial, SerialBoard};
pub use suite::{Cell, Difference, Entry, Report, Suite, SuiteModel, Verdict};
pub use target::{Case, LoadedModel, Outcome, RowRecord, Target};
pub use transport::{Process, Transport};
