//! What the runner shares with the world: the link in, the link out, the clock, and what a run is watched for.

use core::cell::RefCell;

use carafe_protocol::frame::{self, encode};
use carafe_protocol::{
    Accumulator, Fault, Feed, FrameError, MAX_DATA, MAX_FRAME, NodeTicks, Observe, Request, Response, Row,
};
use embedded_io::{Read, Write};

use crate::Clock;
use crate::log::log;

/// Nodes that a profile holds; later ones are left out.
const PROFILE_NODES: usize = 128;
/// Bytes taken from the link at a time.
const READ: usize = 64;
/// Bytes of the board's log sent at a time.
const LOG: usize = 128;
/// A frame that says no more than [`Response::Garbled`].
const SMALL_FRAME: usize = 16;

/// The link is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// The sending side, the clock and the records of a run.
pub(crate) struct Outside<L, C> {
    link: L,
    pub clock: C,
    outbox: [u8; MAX_FRAME],
    /// Bytes of the last answer, kept in `outbox` for a request that comes again.
    answer: usize,
    /// The request that it answers.
    answered: Option<u32>,
    /// The request that is being carried out.
    seq: u32,
    pub observe: Observe,
    pub rows: u32,
    pub profile: heapless::Vec<NodeTicks, PROFILE_NODES>,
    begun: u64,
    /// Takes what the board has logged; see [`crate::Runner::logging`].
    pub log: Option<fn(&mut [u8]) -> usize>,
}

impl<L: Read + Write, C: Clock> Outside<L, C> {
    pub fn new(link: L, clock: C) -> Self {
        Self {
            link,
            clock,
            outbox: [0; MAX_FRAME],
            answer: 0,
            answered: None,
            seq: 0,
            observe: Observe::Nothing,
            rows: 0,
            profile: heapless::Vec::new(),
            begun: 0,
            log: None,
        }
    }

    /// Answers the request that was received last.
    pub fn answer(&mut self, response: &Response<'_>) -> Result<(), Lost> {
        if let Response::Fault(_fault) = response {
            log!("request {} refused: {}", self.seq, _fault);
        }
        self.send_log()?;
        self.answer = match self.post(response) {
            Err(SendError::Lost) => return Err(Lost),
            Ok(len) => len,
            Err(SendError::TooLong) => match self.post(&Response::Fault(Fault::AnswerTooLong)) {
                Ok(len) => len,
                Err(_) => return Err(Lost),
            },
        };
        self.answered = Some(self.seq);
        Ok(())
    }

    /// What has been logged so far goes out before the answer: whoever waits for that has it then.
    fn send_log(&mut self) -> Result<(), Lost> {
        let Some(take) = self.log else { return Ok(()) };
        let mut room = [0; LOG];
        loop {
            let taken = take(&mut room);
            let data = room.get(..taken).unwrap_or_default();
            if data.is_empty() {
                return Ok(());
            }
            let frame = encode(0, &Response::Log { data }, &mut self.outbox).map_err(|_| Lost)?;
            send(&mut self.link, frame)?;
        }
    }

    fn post(&mut self, response: &Response<'_>) -> Result<usize, SendError> {
        let frame = encode(self.seq, response, &mut self.outbox).map_err(|_| SendError::TooLong)?;
        send(&mut self.link, frame).map_err(|Lost| SendError::Lost)?;
        Ok(frame.len())
    }

    fn answer_again(&mut self) -> Result<(), Lost> {
        let frame = self.outbox.get(..self.answer).unwrap_or_default();
        send(&mut self.link, frame)
    }

    fn garbled(&mut self) -> Result<(), Lost> {
        let mut room = [0; SMALL_FRAME];
        let frame = encode(0, &Response::Garbled, &mut room).map_err(|_| Lost)?;
        send(&mut self.link, frame)
    }

    /// A node begins a step.
    pub fn begin(&mut self) {
        if self.observe == Observe::Profile {
            self.begun = self.clock.ticks();
        }
    }

    /// The step ends.
    pub fn end(&mut self, node: u16, op: u16) {
        if self.observe != Observe::Profile {
            return;
        }
        let ticks = self.clock.ticks().saturating_sub(self.begun);
        match self.profile.iter_mut().find(|record| record.node == node) {
            Some(record) => {
                record.calls = record.calls.saturating_add(1);
                record.ticks = record.ticks.saturating_add(ticks);
            }
            None => drop(self.profile.push(NodeTicks { node, op, calls: 1, ticks })),
        }
    }

    /// True if the run's rows are of interest at all.
    pub fn shows_rows(&self) -> bool {
        matches!(self.observe, Observe::Digests | Observe::Node { .. })
    }

    /// A node has made a row, given in pieces (its pixels).
    pub fn row<'p, I: Iterator<Item = &'p [u8]>>(&mut self, node: u16, row: u16, pieces: impl Fn() -> I) {
        let whole = match self.observe {
            Observe::Digests => false,
            Observe::Node { node: wanted } if wanted == node => true,
            _ => return,
        };
        let mut digest = carafe_protocol::CRC.digest();
        let mut len = 0u32;
        for piece in pieces() {
            digest.update(piece);
            len = len.saturating_add(crate::transfer::wire(piece.len()));
        }
        let record = Row { number: self.rows, node, row, len, crc: digest.finalize(), offset: 0, data: &[] };
        if whole {
            self.send_row(record, pieces());
        } else {
            self.send_record(record);
        }
    }

    fn send_row<'p>(&mut self, mut record: Row<'_>, pieces: impl Iterator<Item = &'p [u8]>) {
        let mut room = heapless::Vec::<u8, MAX_DATA>::new();
        for byte in pieces.flatten() {
            if room.push(*byte).is_err() {
                self.send_record(Row { data: &room, ..record });
                record.number = self.rows;
                record.offset = record.offset.saturating_add(crate::transfer::wire(room.len()));
                room.clear();
                // There is room now: nothing can be lost.
                let _ = room.push(*byte);
            }
        }
        self.send_record(Row { data: &room, ..record });
    }

    /// A record that gets lost leaves a gap in the numbers, which the host sees.
    fn send_record(&mut self, record: Row<'_>) {
        let _ = self.post(&Response::Row(record));
        self.rows = self.rows.saturating_add(1);
    }
}

/// `embedded_io`'s own `write_all` panics on a link that takes nothing.
fn send<L: Write>(link: &mut L, mut bytes: &[u8]) -> Result<(), Lost> {
    while !bytes.is_empty() {
        let taken = link.write(bytes).map_err(|_| Lost)?;
        if taken == 0 {
            return Err(Lost);
        }
        bytes = bytes.get(taken..).ok_or(Lost)?;
    }
    link.flush().map_err(|_| Lost)
}

enum SendError {
    TooLong,
    Lost,
}

/// The receiving side.
pub(crate) struct Inbox {
    accumulator: Accumulator,
    raw: [u8; READ],
    /// Bytes of `raw` that are still to be fed.
    from: usize,
    to: usize,
    /// The frame received last is to be read once more.
    kept: bool,
}

impl Inbox {
    pub fn new() -> Self {
        Self { accumulator: Accumulator::new(), raw: [0; READ], from: 0, to: 0, kept: false }
    }

    /// Has the next [`Inbox::next`] return the same request again: it is for another level of the runner.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Waits for a request that is not yet answered. Broken frames, repeated and unknown requests are answered here.
    pub fn next<L: Read + Write, C: Clock>(&mut self, outside: &RefCell<Outside<L, C>>) -> Result<Request<'_>, Lost> {
        if !core::mem::take(&mut self.kept) {
            self.receive(&mut *outside.try_borrow_mut().map_err(|_| Lost)?)?;
        }
        let (_, body) = frame::split(self.accumulator.payload()).map_err(|_| Lost)?;
        frame::message(body).map_err(|_| Lost)
    }

    fn receive<L: Read + Write, C: Clock>(&mut self, outside: &mut Outside<L, C>) -> Result<(), Lost> {
        loop {
            let byte = self.byte(outside)?;
            match self.accumulator.feed(byte) {
                Feed::Pending => {}
                Feed::Broken(_error) => {
                    log!("broken frame: {}", _error);
                    outside.garbled()?;
                }
                Feed::Frame => {
                    if self.accept(outside)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// True for a request to carry out.
    fn accept<L: Read + Write, C: Clock>(&self, outside: &mut Outside<L, C>) -> Result<bool, Lost> {
        let Ok((seq, body)) = frame::split(self.accumulator.payload()) else {
            outside.garbled()?;
            return Ok(false);
        };
        let request: Result<Request<'_>, FrameError> = frame::message(body);
        if outside.answered == Some(seq) && !matches!(request, Ok(Request::Hello { .. })) {
            outside.answer_again()?;
            return Ok(false);
        }
        outside.seq = seq;
        if request.is_err() {
            outside.answer(&Response::Fault(Fault::UnknownRequest))?;
        }
        Ok(request.is_ok())
    }

    fn byte<L: Read + Write, C>(&mut self, outside: &mut Outside<L, C>) -> Result<u8, Lost> {
        loop {
            if let Some(byte) = self.raw.get(..self.to).and_then(|raw| raw.get(self.from)) {
                self.from = self.from.saturating_add(1);
                return Ok(*byte);
            }
            self.from = 0;
            self.to = outside.link.read(&mut self.raw).map_err(|_| Lost)?;
            if self.to == 0 {
                return Err(Lost);
            }
        }
    }
}
