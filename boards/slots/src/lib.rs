//! Two slots for models in NOR flash, over [`embedded_storage::nor_flash::NorFlash`].
//!
//! A new model is written beside the old one ([`Slots::begin`]), verified, and only then entered ([`Slots::commit`]).
//! At the next start it is *tried*: [`Slots::boot`] writes down the trial before the model runs. Whoever is content
//! with it says [`Slots::confirm`]; after [`TRIALS`] starts without that, or at once if it fails its golden check, the
//! old model returns. Power may fail at any moment: what is in flash is a model that was entered in full, or is not taken
//! for one.
//!
//! ```text
//! slot   0          32       64       96       128     160     192     224        256
//!        │ manifest │ trial 1│ trial 2│ trial 3│ good 1│ good 2│ good 3│ rejected │ model, signature …
//! ```
//!
//! Every mark has 32 bytes to itself, the largest word that flash has (STM32H7: 256 bits with ECC), and is written at
//! most once between two erasures, even where a bit could still be cleared. A word that a failure of power left half
//! written is neither blank nor valid; what it then means is the careful half of the two: a trial counts, a rejection
//! holds, and a confirmation does not, but there is another word for it. An erasure begins with the sector of the manifest,
//! and every sector that a model needs is erased once for it, none for a mark.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

mod boot;
#[cfg(feature = "signed")]
mod ed25519;
mod flash;
mod golden;
mod layout;
mod ram;
mod signature;
mod slots;
mod writer;

pub use boot::Booted;
pub use embedded_storage;
pub use flash::NoFlash;
pub use golden::{GoldenError, golden};
pub use layout::{Content, HEADER_BYTES, MAX_WORD, Reason, Slot, State, TRIALS};
pub use ram::RamFlash;
#[cfg(feature = "signed")]
pub use signature::{Key, SignatureError};
pub use signature::{KeyId, TRAILER_BYTES, Trailer};
pub use slots::{Slots, SlotsError};
pub use writer::Writer;
