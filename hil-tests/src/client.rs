use std::time::{Duration, Instant};

use carafe_protocol::frame::{self, encode};
use carafe_protocol::{
    Accumulator, CRC, Counter, Feed, Loaded, MAX_DATA, MAX_FRAME, NodeTicks, Observe, Request, Response, RunStats,
    VERSION,
};

use crate::Error;
use crate::target::RowRecord;
use crate::transport::Transport;

/// Speaks the protocol to one board.
///
/// Every request waits for its answer, for a limited time; a request or answer that gets lost or broken is sent again.
pub struct Client<T> {
    board: String,
    transport: T,
    inbox: Accumulator,
    /// Bytes that arrived, to be taken apart from `at` on.
    arrived: Vec<u8>,
    at: usize,
    seq: u32,
    /// The most bytes of data that the board takes in one frame.
    pub(crate) max_data: usize,
    /// Requests sent again so far.
    resent: u32,
    /// What the board has logged, not taken yet.
    log: Vec<u8>,
}

/// What a board says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoardInfo {
    /// Its name.
    pub board: String,
    /// Its CPU.
    pub cpu: String,
    /// Bytes of the largest model that it takes.
    pub model_bytes: usize,
    /// Bytes that it has for an arena.
    pub arena_bytes: usize,
    /// What its ticks are.
    pub counter: Counter,
    /// The codes of the ops that it was built with.
    pub ops: Vec<u16>,
}

/// What came of a run on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// What it cost.
    pub stats: RunStats,
    /// The first output, if it was small enough to come along.
    pub first_output: Option<Vec<u8>>,
    /// The rows that were watched.
    pub rows: Vec<RowRecord>,
}

/// After so long without an answer, a request is sent again; twice as long after that.
const PATIENCE: Duration = Duration::from_secs(1);
/// After word of a broken frame it is sent again so soon; not at once, for the frame may have been another's.
const IMPATIENCE: Duration = Duration::from_millis(20);
/// For requests that take no time.
const SHORT: Duration = Duration::from_secs(10);

impl<T: Transport> Client<T> {
    /// A client for the board of that name (for messages); nothing is sent yet.
    pub fn new(board: &str, transport: T) -> Self {
        // Any number will do, as long as it is hardly ever the one that the board answered last.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            board: board.to_owned(),
            transport,
            inbox: Accumulator::new(),
            arrived: Vec::new(),
            at: 0,
            seq: since.subsec_nanos() & 0xFFFF,
            max_data: MAX_DATA,
            resent: 0,
            log: Vec::new(),
        }
    }

    /// The transport, to do to it what a fault would.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The board's name.
    pub fn board(&self) -> &str {
        &self.board
    }

    /// Requests that had to be sent again so far.
    pub fn resent(&self) -> u32 {
        self.resent
    }

    /// What the board has logged since the last call of this; see [`crate::LogDecoder`].
    pub fn take_log(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.log)
    }

    /// Sends a request and gives its answer to `take`, which returns `None` for an answer that does not belong to it.
    ///
    /// # Errors
    /// The link is gone, no answer came within `limit`, or the board refused.
    pub fn call<R>(
        &mut self,
        during: &'static str,
        request: &Request<'_>,
        limit: Duration,
        take: impl FnOnce(Response<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        self.call_watched(during, request, limit, &mut |_| (), take)
    }

    fn call_watched<R>(
        &mut self,
        during: &'static str,
        request: &Request<'_>,
        limit: Duration,
        on_row: &mut dyn FnMut(&carafe_protocol::Row<'_>),
        take: impl FnOnce(Response<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        self.seq = self.seq.wrapping_add(1).max(1);
        let mut room = [0; MAX_FRAME + 1];
        // The leading zero ends whatever a broken link has left with the board; it is only sent when that is likely.
        let [ender, rest @ ..] = &mut room;
        *ender = 0;
        let confused = || Error::Confused { board: self.board.clone(), during };
        let length = encode(self.seq, request, rest).map_err(|_| confused())?.len();
        let deadline = Instant::now() + limit;
        // A board that starts afresh forgets what it has answered: it is asked again only if it says that it did not get it.
        let mut patience = if matches!(request, Request::Restart) { limit } else { PATIENCE };
        let mut from = usize::from(!matches!(request, Request::Hello { .. }));
        loop {
            self.transport.send(&room[from..=length]).map_err(|_| self.lost(during))?;
            from = 0;
            let until = Instant::now() + patience;
            if self.await_answer(during, deadline.min(until), on_row)? {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout { board: self.board.clone(), during, limit });
            }
            self.resent += 1;
            // Word of a broken frame says nothing of how long answers take.
            if Instant::now() >= until {
                patience *= 2;
            }
        }
        let confused = || Error::Confused { board: self.board.clone(), during };
        let (_, body) = frame::split(self.inbox.payload()).map_err(|_| confused())?;
        match frame::message(body).map_err(|_| confused())? {
            Response::Fault(fault) => Err(Error::Refused { board: self.board.clone(), during, fault }),
            response => take(response).ok_or_else(confused),
        }
    }

    /// True if the answer is in the inbox; false if the time is up, which comes soon once the board says that it
    /// got something broken.
    fn await_answer(
        &mut self,
        during: &'static str,
        mut until: Instant,
        on_row: &mut dyn FnMut(&carafe_protocol::Row<'_>),
    ) -> Result<bool, Error> {
        loop {
            while let Some(&byte) = self.arrived.get(self.at) {
                self.at += 1;
                if self.inbox.feed(byte) != Feed::Frame {
                    continue;
                }
                let Ok((seq, body)) = frame::split(self.inbox.payload()) else { continue };
                match frame::message(body) {
                    Ok(Response::Garbled) if seq == 0 => until = until.min(Instant::now() + IMPATIENCE),
                    Ok(Response::Log { data }) if seq == 0 => self.log.extend(data),
                    Ok(Response::Row(row)) if seq == self.seq => on_row(&row),
                    _ if seq == self.seq => return Ok(true),
                    _ => {}
                }
            }
            self.arrived.clear();
            self.at = 0;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.transport.receive(&mut self.arrived, left).map_err(|_| self.lost(during))?;
        }
    }

    pub(crate) fn lost(&self, during: &'static str) -> Error {
        self.transport.lost(&self.board, during)
    }

    pub(crate) fn done(&mut self, during: &'static str, request: &Request<'_>) -> Result<(), Error> {
        self.call(during, request, SHORT, |response| matches!(response, Response::Done).then_some(()))
    }

    /// Says hello: who is there?
    ///
    /// # Errors
    /// As [`Client::call`]; among them a board of another protocol version.
    pub fn hello(&mut self, limit: Duration) -> Result<BoardInfo, Error> {
        let request = Request::Hello { version: VERSION };
        let (info, max_data) = self.call("the greeting", &request, limit, |response| match response {
            Response::Info(info) => Some((
                BoardInfo {
                    board: info.board.to_owned(),
                    cpu: info.cpu.to_owned(),
                    model_bytes: info.model_bytes as usize,
                    arena_bytes: info.arena_bytes as usize,
                    counter: info.counter,
                    ops: info.ops.chunks_exact(2).map(|code| u16::from_le_bytes([code[0], code[1]])).collect(),
                },
                usize::from(info.max_data),
            )),
            _ => None,
        })?;
        self.max_data = max_data.clamp(1, MAX_DATA);
        Ok(info)
    }

    /// Has the board send bytes back; at most [`MAX_DATA`] of them.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn echo(&mut self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.call("an echo", &Request::Echo { data }, SHORT, |response| match response {
            Response::Echo { data } => Some(data.to_vec()),
            _ => None,
        })
    }

    /// Puts a model on the board.
    ///
    /// # Errors
    /// As [`Client::call`]; among them a model that is too large or does not verify there.
    pub fn load(&mut self, blob: &[u8]) -> Result<Loaded, Error> {
        let during = "loading the model";
        let len = u32::try_from(blob.len()).unwrap_or(u32::MAX);
        self.done(during, &Request::LoadBegin { len, crc: CRC.checksum(blob) })?;
        let mut offset = 0;
        for data in blob.chunks(self.max_data) {
            self.done(during, &Request::LoadChunk { offset, data })?;
            offset += data.len() as u32;
        }
        self.call(during, &Request::LoadEnd, SHORT, |response| match response {
            Response::Loaded(loaded) => Some(loaded),
            _ => None,
        })
    }

    /// Sets an input tensor.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn set_input(&mut self, index: u16, tensor: &[u8]) -> Result<(), Error> {
        let mut offset = 0;
        for data in tensor.chunks(self.max_data) {
            self.done("setting an input", &Request::SetInput { index, offset, data })?;
            offset += data.len() as u32;
        }
        Ok(())
    }

    /// Runs the model on the inputs that were set.
    ///
    /// # Errors
    /// As [`Client::call`]; [`Error::RowsLost`] if rows were lost on their way.
    pub fn run(&mut self, observe: Observe, limit: Duration) -> Result<Ran, Error> {
        let mut rows: Vec<RowRecord> = Vec::new();
        let mut received = 0u32;
        let mut on_row = |row: &carafe_protocol::Row<'_>| {
            received += u32::from(row.number == received);
            match rows.last_mut().filter(|_| row.offset > 0) {
                Some(last) => last.data.extend(row.data),
                None => rows.push(RowRecord { node: row.node, row: row.row, crc: row.crc, data: row.data.to_vec() }),
            }
        };
        let during = "the run";
        let (stats, output) =
            self.call_watched(during, &Request::Run { observe }, limit, &mut on_row, |response| match response {
                Response::Ran { stats, output } => Some((stats, output.to_vec())),
                _ => None,
            })?;
        if received != stats.rows {
            return Err(Error::RowsLost { board: self.board.clone(), arrived: received, sent: stats.rows });
        }
        Ok(Ran { stats, first_output: Some(output).filter(|output| !output.is_empty()), rows })
    }

    /// An output tensor of `len` bytes.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn output(&mut self, index: u16, len: usize) -> Result<Vec<u8>, Error> {
        let mut tensor = Vec::with_capacity(len);
        while tensor.len() < len {
            let part = (len - tensor.len()).min(self.max_data) as u16;
            let offset = tensor.len() as u32;
            let data =
                self.call("reading an output", &Request::GetOutput { index, offset, len: part }, SHORT, |response| {
                    match response {
                        Response::Output { data } if data.len() == usize::from(part) => Some(data.to_vec()),
                        _ => None,
                    }
                })?;
            tensor.extend(data);
        }
        Ok(tensor)
    }

    /// The profile of the last run, if it was watched for one.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn profile(&mut self) -> Result<Vec<NodeTicks>, Error> {
        let mut records = Vec::new();
        loop {
            let index = records.len() as u16;
            let (count, record) =
                self.call("reading the profile", &Request::GetProfile { index }, SHORT, |response| match response {
                    Response::Profile { count, record } => Some((count, record)),
                    _ => None,
                })?;
            records.push(record);
            if records.len() >= usize::from(count) {
                return Ok(records);
            }
        }
    }

    /// Has the board forget its model.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn reset(&mut self) -> Result<(), Error> {
        self.done("a reset", &Request::Reset)
    }

    /// Has the board leave: an emulator ends.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn exit(&mut self, code: u8) -> Result<(), Error> {
        self.done("leaving", &Request::Exit { code })
    }
}
