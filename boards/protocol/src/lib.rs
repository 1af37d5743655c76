//! The one protocol of Carafe's boards.
//!
//! A host asks, a board answers: [`Request`]s and [`Response`]s are [postcard] values, each in a [frame](mod@frame)
//! with a sequence number, a CRC-32 and COBS stuffing, so that any byte transport will do (UART, RTT, semihosting, a
//! pipe) and a receiver finds its feet again at the next zero byte, whatever came before. `docs/protocol.md` draws it.
//!
//! # Delivery
//!
//! * The host sends one request and waits. Every request has a sequence number one above the one before it.
//! * A board that gets a frame with the sequence number of the request it answered last sends the same answer again
//!   and carries nothing out: a request may be sent again at any time. [`Request::Hello`] alone is always carried out.
//! * A board that gets a broken frame answers [`Response::Garbled`] with sequence number 0. The host, on that or on
//!   silence, sends its frame again, with a zero byte before it to end whatever the board took for a frame.
//! * The host drops answers whose sequence number is not the one it waits for.
//!
//! # Versions
//!
//! [`VERSION`] is `major.minor`, exchanged in [`Request::Hello`] and [`Info`]. A minor version only appends: variants
//! at the end of [`Request`], [`Response`], [`Fault`] and [`Observe`], fields at the end of a message. Readers ignore
//! bytes after the value they know, and a board answers [`Fault::UnknownRequest`] to what it cannot read, so that a
//! newer host can do without. Peers of different major versions refuse each other; the frame itself, `Hello` and the
//! first field of [`Info`] never change, so that both can say which version they speak.
//!
//! [postcard]: https://postcard.jamesmunns.com/
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod fault;
pub mod frame;
mod message;

pub use fault::{BlobFault, Fault, RunFault};
pub use frame::{Accumulator, Feed, FrameError};
pub use message::{
    Arithmetics, Counter, CounterKind, Info, Loaded, NodeTicks, Observe, Passed, Request, Response, Row, RunStats,
    SlotInfo, SlotReason, SlotState, Slots, Version,
};

/// The version of the protocol that this crate speaks.
pub const VERSION: Version = Version { major: 1, minor: 1 };

/// The most bytes of model, tensor or echo data that one frame carries.
pub const MAX_DATA: usize = 1024;

/// The most bytes of one frame before stuffing: sequence number, message and CRC.
///
/// Besides [`MAX_DATA`] the largest message, [`Info`], needs its fixed fields, two names of up to
/// [`MAX_NAME`] bytes and the list of ops.
pub const MAX_PAYLOAD: usize = MAX_DATA + 64;

/// The most bytes of one frame on the wire, with its closing zero byte.
pub const MAX_FRAME: usize = cobs::max_encoding_length(MAX_PAYLOAD) + 1;

/// The most bytes of a board's or CPU's name in [`Info`]; a longer one is not sent.
pub const MAX_NAME: usize = 64;

/// CRC-32/ISO-HDLC (that of Ethernet and zip), in frames and over a transferred model.
pub static CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
