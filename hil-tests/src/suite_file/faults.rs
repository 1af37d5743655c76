//! What goes wrong on a link in the field, done on purpose; after each the board has to be as useful as before.

use std::time::Duration;

use serde::Deserialize;

use crate::Error;
use crate::client::{BoardInfo, Client};
use crate::protocol::frame::encode;
use crate::protocol::{CRC, Fault, MAX_FRAME, Observe, Request, Response, Slots};
use crate::target::Target;
use crate::transport::Transport;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Frames that end too early, at every byte.
    TruncatedFrame,
    /// Frames, and a whole model, that do not have the CRC they claim.
    WrongCrc,
    /// Bytes that are no frames, with and without zeros among them.
    Garbage,
    /// A model that is larger than the board takes, by a byte and by all that 32 bits can say.
    OversizeModel,
    /// A request to forget everything, in the middle of a transfer.
    Reset,
    /// The board restarted, in the middle of a transfer.
    Restart,
    /// The link cut in the middle of a transfer, and taken up by a host that knows nothing of it.
    CutTransfer,
    /// Many broken frames of all sorts.
    Noise,
    /// A new model into flash, and the old one after it: each tried and confirmed.
    SlotUpdate,
    /// Half a new model into flash.
    SlotTruncated,
    /// A new model into flash that has another CRC than it claims.
    SlotWrongCrc,
    /// A new model into flash that was damaged before it was sent.
    SlotDamaged,
    /// A new model into flash that does not compute what it should.
    SlotGolden,
    /// A new model into flash that is too large for a slot.
    SlotOversize,
    /// The board restarted in the middle of a new model's way into flash.
    SlotRestart,
    /// A new model in flash that nobody confirms.
    SlotUnconfirmed,
}

impl FaultKind {
    /// The word in the suite.
    pub fn word(self) -> &'static str {
        match self {
            FaultKind::TruncatedFrame => "truncated-frame",
            FaultKind::WrongCrc => "wrong-crc",
            FaultKind::Garbage => "garbage",
            FaultKind::OversizeModel => "oversize-model",
            FaultKind::Reset => "reset",
            FaultKind::Restart => "restart",
            FaultKind::CutTransfer => "cut-transfer",
            FaultKind::Noise => "noise",
            FaultKind::SlotUpdate => "slot-update",
            FaultKind::SlotTruncated => "slot-truncated",
            FaultKind::SlotWrongCrc => "slot-wrong-crc",
            FaultKind::SlotDamaged => "slot-damaged",
            FaultKind::SlotGolden => "slot-golden",
            FaultKind::SlotOversize => "slot-oversize",
            FaultKind::SlotRestart => "slot-restart",
            FaultKind::SlotUnconfirmed => "slot-unconfirmed",
        }
    }

    /// True if the model may be gone after it: it is loaded again before the board has to compute.
    fn forgets(self) -> bool {
        matches!(self, FaultKind::Reset | FaultKind::Restart)
    }
}

/// The link to a board, to do to it what goes wrong in the field.
pub trait Wire {
    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The link is gone.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Sends a request and waits; `None` if it was carried out.
    ///
    /// # Errors
    /// As [`Client::call`], but for refusals, which are the answer here.
    fn ask(&mut self, request: &Request<'_>) -> Result<Option<Fault>, Error>;

    /// Greets the board, as a host does that has just come.
    ///
    /// # Errors
    /// As [`Client::hello`].
    fn greet(&mut self) -> Result<BoardInfo, Error>;

    /// Has the board send bytes back.
    ///
    /// # Errors
    /// As [`Client::echo`].
    fn echo_back(&mut self, data: &[u8]) -> Result<Vec<u8>, Error>;

    /// Sends a request that is answered by the slots in flash; what they are, or why it is refused.
    ///
    /// # Errors
    /// As [`Client::call`], but for refusals.
    fn slots_after(&mut self, request: &Request<'_>, limit: Duration) -> Result<Result<Slots, Fault>, Error>;

    /// Has the board start afresh by itself, and greets it.
    ///
    /// # Errors
    /// As [`Client::restart`].
    fn start_afresh(&mut self) -> Result<(), Error>;
}

/// Faults are quick; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);

impl<T: Transport> Wire for Client<T> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transport().send(bytes).map_err(|_| self.lost("a fault"))
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Option<Fault>, Error> {
        match self.call("a fault", request, LIMIT, |_| Some(())) {
            Ok(()) => Ok(None),
            Err(Error::Refused { fault, .. }) => Ok(Some(fault)),
            Err(error) => Err(error),
        }
    }

    fn greet(&mut self) -> Result<BoardInfo, Error> {
        self.hello(LIMIT)
    }

    fn echo_back(&mut self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.echo(data)
    }

    fn slots_after(&mut self, request: &Request<'_>, limit: Duration) -> Result<Result<Slots, Fault>, Error> {
        let slots = |response: Response<'_>| match response {
            Response::Slots(slots) => Some(slots),
            _ => None,
        };
        match self.call("a fault in flash", request, limit, slots) {
            Ok(slots) => Ok(Ok(slots)),
            Err(Error::Refused { fault, .. }) => Ok(Err(fault)),
            Err(error) => Err(error),
        }
    }

    fn start_afresh(&mut self) -> Result<(), Error> {
        self.restart().map(|_| ())
    }
}

/// What the board has to stand, and with what.
pub(super) struct Trial<'t> {
    pub kind: FaultKind,
    pub blob: &'t [u8],
    pub noise_frames: usize,
}

/// Why a trial was not passed.
pub(super) enum Trouble {
    /// The target has no link that something could be done to.
    NoLink,
    /// It keeps no models in flash.
    NoSlots,
    /// What came of a request.
    Unexpected(String),
    /// The link is gone, or the board hangs.
    Broken(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Broken(error)
    }
}

/// A link there has to be.
pub(super) fn wire(target: &mut dyn Target) -> Result<&mut dyn Wire, Trouble> {
    target.wire()?.ok_or(Trouble::NoLink)
}

impl Trial<'_> {
    /// Does it to a board that has the model. Afterwards it answers, and the model is on it, the one from before where
    /// the fault does not take it away.
    pub fn run(&self, target: &mut dyn Target) -> Result<(), Trouble> {
        match self.kind {
            FaultKind::TruncatedFrame => self.truncated(wire(target)?)?,
            FaultKind::WrongCrc => self.wrong_crc(wire(target)?)?,
            FaultKind::Garbage => self.garbage(wire(target)?)?,
            FaultKind::OversizeModel => self.oversize(wire(target)?)?,
            FaultKind::Reset => self.reset(wire(target)?)?,
            FaultKind::Restart => {
                self.half(wire(target)?)?;
                if !target.restart()? {
                    return Err(Trouble::Unexpected("it can't be restarted from here".to_owned()));
                }
            }
            FaultKind::CutTransfer => self.cut(wire(target)?)?,
            FaultKind::Noise => self.noise(wire(target)?)?,
            kind => super::slots::run(kind, self.blob, target)?,
        }
        answers(wire(target)?)?;
        if self.kind.forgets() {
            target.load(self.blob)?;
        }
        Ok(())
    }

    fn truncated(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        // Carried out, it would take the model away.
        let whole = frame(&Request::Reset);
        for end in 1..whole.len().saturating_sub(1) {
            wire.raw(whole.get(..end).unwrap_or_default())?;
            wire.raw(&[0])?;
        }
        let chunk = frame(&Request::LoadChunk { offset: 0, data: &[7; 200] });
        for end in (1..chunk.len()).step_by(17) {
            wire.raw(chunk.get(..end).unwrap_or_default())?;
            wire.raw(&[0])?;
        }
        // The last one does not even end.
        Ok(wire.raw(whole.get(..3).unwrap_or_default())?)
    }

    fn wrong_crc(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        let mut bytes = frame(&Request::Reset);
        // The last byte before the zero is of the CRC; one that it must not become is zero.
        if let Some(last) = bytes.iter_mut().rev().nth(1) {
            *last = if *last == 1 { 2 } else { *last ^ 1 };
        }
        wire.raw(&bytes)?;
        answers(wire)?;
        // And a whole model that was announced with another. Where there is no second place for it, it takes that of
        // the first, so the transfer is one that ends at once.
        let begun = wire.ask(&Request::LoadBegin { len: 0, crc: CRC.checksum(&[]) ^ 1 })?;
        expect("an announcement", begun, None)?;
        expect("a model of another CRC", wire.ask(&Request::LoadEnd)?, Some(Fault::TransferCrc))
    }

    fn garbage(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
        for length in [1, 2, 7, 64, 300, 1200, 4000] {
            let bytes = noise.bytes(length);
            wire.raw(&bytes)?;
            wire.raw(&bytes.iter().map(|&byte| byte.max(1)).collect::<Vec<u8>>())?;
            wire.raw(&vec![0xFF; length])?;
            wire.raw(&vec![0; length])?;
        }
        Ok(wire.raw(&noise.bytes(50))?)
    }

    fn oversize(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        let have = u32::try_from(wire.greet()?.model_bytes).unwrap_or(u32::MAX);
        for len in [have.saturating_add(1), u32::MAX] {
            let refused = wire.ask(&Request::LoadBegin { len, crc: 0 })?;
            expect(&format!("a model of {len} bytes"), refused, Some(Fault::ModelTooBig { have }))?;
        }
        expect("its bytes", wire.ask(&Request::LoadChunk { offset: 0, data: &[1] })?, Some(Fault::NoTransfer))
    }

    /// Half of the model.
    fn half(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        let len = u32::try_from(self.blob.len()).unwrap_or(u32::MAX);
        expect("the announcement", wire.ask(&Request::LoadBegin { len, crc: CRC.checksum(self.blob) })?, None)?;
        let half = self.blob.get(..self.blob.len() / 2).unwrap_or_default();
        let mut offset = 0;
        for data in half.chunks(512) {
            expect("a piece of the model", wire.ask(&Request::LoadChunk { offset, data })?, None)?;
            offset = offset.saturating_add(data.len() as u32);
        }
        Ok(())
    }

    fn reset(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        self.half(wire)?;
        expect("a reset", wire.ask(&Request::Reset)?, None)?;
        let late = wire.ask(&Request::LoadChunk { offset: 0, data: &[1] })?;
        expect("a piece after it", late, Some(Fault::NoTransfer))?;
        expect("a run after it", wire.ask(&Request::Run { observe: Observe::Nothing })?, Some(Fault::NoModel))
    }

    /// In the middle of a frame in the middle of a model.
    fn cut(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        self.half(wire)?;
        let data = [0x55; 512];
        let offset = u32::try_from(self.blob.len() / 2).unwrap_or(u32::MAX);
        let next = frame(&Request::LoadChunk { offset, data: &data });
        Ok(wire.raw(next.get(..next.len() / 2).unwrap_or_default())?)
    }

    fn noise(&self, wire: &mut dyn Wire) -> Result<(), Trouble> {
        let mut noise = Noise(0x0123_4567_89AB_CDEF);
        for i in 0..self.noise_frames {
            let data = noise.bytes(1 + i % 40);
            // Each of these would do harm if it were carried out.
            let request = match noise.below(6) {
                0 => Request::Reset,
                1 => Request::Exit { code: 9 },
                2 => Request::LoadBegin { len: 3, crc: 0 },
                3 => Request::LoadEnd,
                4 => Request::SetInput { index: 0, offset: 0, data: &data },
                _ => Request::Run { observe: Observe::Nothing },
            };
            let mut bytes = frame(&request);
            match noise.below(5) {
                0 => {
                    // One bit, but not in the zero at the end: then it would be whole, and wait for its end.
                    let at = noise.below(bytes.len().saturating_sub(1));
                    let bit = noise.below(8);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << bit;
                    }
                }
                1 => bytes.truncate(noise.below(bytes.len().saturating_sub(1))),
                2 => bytes = noise.bytes(1 + i % 200),
                3 => bytes = vec![1 + noise.below(255) as u8; 1 + noise.below(3000)],
                _ => bytes.insert(1 + noise.below(bytes.len().saturating_sub(2)), 0),
            }
            wire.raw(&bytes)?;
            if i % 50 == 49 {
                answers(wire)?;
            }
        }
        Ok(())
    }
}

/// It says who it is, and sends back what it is sent.
fn answers(wire: &mut dyn Wire) -> Result<(), Trouble> {
    wire.greet()?;
    let data = [0, 1, 0xFF, 0];
    let back = wire.echo_back(&data)?;
    if back == data { Ok(()) } else { Err(Trouble::Unexpected("it does not echo what it is sent".to_owned())) }
}

pub(super) fn expect(what: &str, got: Option<Fault>, want: Option<Fault>) -> Result<(), Trouble> {
    if got == want {
        return Ok(());
    }
    let said =
        |fault: Option<Fault>| fault.map_or_else(|| "accepted".to_owned(), |fault| format!("refused ({fault:?})"));
    Err(Trouble::Unexpected(format!("{what} was {} instead of {}", said(got), said(want))))
}

/// A request as it goes over the wire, with a number that no client comes to.
fn frame(request: &Request<'_>) -> Vec<u8> {
    encode(0x7000_0000, request, &mut [0; MAX_FRAME]).map(<[u8]>::to_vec).unwrap_or_default()
}

/// Numbers that look random (xorshift64*), the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }
}
