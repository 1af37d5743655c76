//! Frames: `COBS( sequence number · message · CRC-32 ) 00`.
//!
//! [`encode`] writes one, [`Accumulator`] collects one from single bytes, [`split`] and [`message`] read it. None of
//! them can panic, whatever the bytes.

use cobs::{DecodeResult, DecoderState, EncoderState, PushResult};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::{CRC, MAX_PAYLOAD};

const CRC_BYTES: usize = 4;

/// Why a frame could not be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// The frame ended in the middle of a COBS block.
    Stuffing,
    /// The CRC does not fit the bytes, or the frame is too short to have one.
    Crc,
    /// More bytes than the receiver's (or sender's) buffer holds.
    TooLong,
    /// The frame is sound, but its content is no message of this version.
    Message,
}

/// Writes COBS into a slice, byte by byte, keeping the CRC of what went in.
struct Stuffed<'a> {
    out: &'a mut [u8],
    at: usize,
    state: EncoderState,
    digest: crc::Digest<'static, u32>,
}

impl Stuffed<'_> {
    fn put(&mut self, at: usize, byte: u8) -> postcard::Result<()> {
        *self.out.get_mut(at).ok_or(postcard::Error::SerializeBufferFull)? = byte;
        Ok(())
    }

    fn stuff(&mut self, byte: u8) -> postcard::Result<()> {
        match self.state.push(byte) {
            PushResult::AddSingle(byte) => self.put(self.at, byte)?,
            PushResult::ModifyFromStartAndSkip((code_at, code)) => self.put(code_at, code)?,
            PushResult::ModifyFromStartAndPushAndSkip((code_at, code, byte)) => {
                self.put(code_at, code)?;
                self.put(self.at, byte)?;
                self.at = self.at.saturating_add(1);
            }
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }
}

impl Flavor for Stuffed<'_> {
    type Output = usize;

    // Inlined into every field of every message it would make a tenth of the firmware.
    #[inline(never)]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.digest.update(data);
        data.iter().try_for_each(|&byte| self.stuff(byte))
    }

    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(mut self) -> postcard::Result<usize> {
        let crc = self.digest.clone().finalize();
        crc.to_le_bytes().into_iter().try_for_each(|byte| self.stuff(byte))?;
        let (code_at, code) = self.state.clone().finalize();
        self.put(code_at, code)?;
        self.put(self.at, 0)?;
        Ok(self.at.saturating_add(1))
    }
}

/// Writes `message` as frame number `seq` into `out`, and returns the frame with its closing zero byte.
///
/// # Errors
/// [`FrameError::TooLong`] if `out` is too small ([`crate::MAX_FRAME`] bytes always do for a message within its
/// documented bounds).
pub fn encode<'o, M: Serialize>(seq: u32, message: &M, out: &'o mut [u8]) -> Result<&'o [u8], FrameError> {
    let flavor = Stuffed { out: &mut *out, at: 1, state: EncoderState::default(), digest: CRC.digest() };
    let len = postcard::serialize_with_flavor(&(seq, message), flavor).map_err(|_| FrameError::TooLong)?;
    out.get(..len).ok_or(FrameError::TooLong)
}

/// Splits the payload of a sound frame into its sequence number and the bytes of its message.
///
/// # Errors
/// [`FrameError::Message`] if there is no number.
pub fn split(payload: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    postcard::take_from_bytes(payload).map_err(|_| FrameError::Message)
}

/// Reads a message ([`crate::Request`] or [`crate::Response`]); bytes after it are ignored, for newer peers may
/// append fields.
///
/// # Errors
/// [`FrameError::Message`] if the bytes are no message of this version.
pub fn message<'b, M: Deserialize<'b>>(bytes: &'b [u8]) -> Result<M, FrameError> {
    postcard::from_bytes(bytes).map_err(|_| FrameError::Message)
}

/// What [`Accumulator::feed`] made of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Feed {
    /// In the middle of a frame, or between two.
    Pending,
    /// A sound frame is complete: read it by [`Accumulator::payload`] before the next byte is fed.
    Frame,
    /// A broken frame has just ended; the accumulator stands at the beginning of the next.
    Broken(FrameError),
}

/// Collects frames of up to `N` bytes (before stuffing) from single bytes.
#[derive(Debug)]
pub struct Accumulator<const N: usize = MAX_PAYLOAD> {
    payload: heapless::Vec<u8, N>,
    state: DecoderState,
    complete: bool,
    /// Set in a frame that is already known to be broken, until the zero byte that ends it.
    broken: Option<FrameError>,
}

impl<const N: usize> Default for Accumulator<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Accumulator<N> {
    /// An empty accumulator, at the beginning of a frame.
    pub const fn new() -> Self {
        Self { payload: heapless::Vec::new(), state: DecoderState::Idle, complete: false, broken: None }
    }

    /// Takes the next byte from the wire.
    pub fn feed(&mut self, byte: u8) -> Feed {
        if core::mem::take(&mut self.complete) {
            self.payload.clear();
        }
        if let Some(error) = self.broken {
            return if byte == 0 { self.restart(error) } else { Feed::Pending };
        }
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => Feed::Pending,
            Ok(DecodeResult::DataContinue(byte)) => {
                if self.payload.push(byte).is_err() {
                    self.broken = Some(FrameError::TooLong);
                }
                Feed::Pending
            }
            Ok(DecodeResult::DataComplete) => self.check(),
            // The decoder errs on a zero byte only, which also ends the frame.
            Err(_) => self.restart(FrameError::Stuffing),
        }
    }

    /// The sequence number and message of the frame that [`Feed::Frame`] announced, for [`split`]; empty at any other
    /// time.
    pub fn payload(&self) -> &[u8] {
        if self.complete { &self.payload } else { &[] }
    }

    fn restart(&mut self, error: FrameError) -> Feed {
        self.payload.clear();
        self.state = DecoderState::Idle;
        self.broken = None;
        Feed::Broken(error)
    }

    fn check(&mut self) -> Feed {
        let Some((body, crc)) = self.payload.split_last_chunk::<CRC_BYTES>() else {
            return self.restart(FrameError::Crc);
        };
        // The CRC of nothing is 0: four bytes of nothing but zeros would pass.
        if body.is_empty() || CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return self.restart(FrameError::Crc);
        }
        let len = body.len();
        self.payload.truncate(len);
        self.complete = true;
        Feed::Frame
    }
}
