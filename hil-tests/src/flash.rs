//! A model's way into a board's flash.

use std::time::Duration;

use carafe_protocol::{CRC, Request, Response, Slots};

use crate::transport::Transport;
use crate::{BoardInfo, Client, Error};

/// For a sector to be erased.
const ERASE: Duration = Duration::from_secs(30);
/// For a model to be read back, verified, and run once.
const CHECK: Duration = Duration::from_secs(600);
/// For a board to start afresh, and to try a model.
const START: Duration = Duration::from_secs(60);
/// For what takes a few words in flash, or none.
const QUICK: Duration = Duration::from_secs(20);

/// Sees a model on its way.
pub trait FlashProgress {
    /// So many of so many bytes are there.
    fn written(&mut self, done: usize, all: usize);
}

impl<F: FnMut(usize, usize)> FlashProgress for F {
    fn written(&mut self, done: usize, all: usize) {
        self(done, all);
    }
}

impl<T: Transport> Client<T> {
    fn slots_after(&mut self, during: &'static str, request: &Request<'_>, limit: Duration) -> Result<Slots, Error> {
        self.call(during, request, limit, |response| match response {
            Response::Slots(slots) => Some(slots),
            _ => None,
        })
    }

    /// Writes a model into a slot in the board's flash, where it is verified and entered, to be tried at the next
    /// start.
    ///
    /// # Errors
    /// As [`Client::call`]; among them a model that does not verify there, fails its golden check, or is not signed as
    /// it should be. The old model is still there.
    pub fn flash(&mut self, file: &[u8], progress: &mut dyn FlashProgress) -> Result<Slots, Error> {
        let during = "flashing the model";
        let done = |response: Response<'_>| matches!(response, Response::Done).then_some(());
        let len = u32::try_from(file.len()).unwrap_or(u32::MAX);
        self.call(during, &Request::FlashBegin { len, crc: CRC.checksum(file) }, ERASE, done)?;
        let mut offset = 0;
        progress.written(0, file.len());
        for data in file.chunks(self.max_data) {
            self.call(during, &Request::FlashChunk { offset: offset as u32, data }, ERASE, done)?;
            offset += data.len();
            progress.written(offset, file.len());
        }
        self.slots_after("checking the model in flash", &Request::FlashEnd, CHECK)
    }

    /// What is in the slots.
    ///
    /// # Errors
    /// As [`Client::call`]; among them a board without slots.
    pub fn slots(&mut self) -> Result<Slots, Error> {
        self.slots_after("asking for the slots", &Request::GetSlots, QUICK)
    }

    /// Takes the model that runs for good.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn confirm(&mut self) -> Result<Slots, Error> {
        self.slots_after("confirming the model", &Request::Confirm, QUICK)
    }

    /// Goes back to the other model, from the next start on.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn revert(&mut self) -> Result<Slots, Error> {
        self.slots_after("going back to the other model", &Request::Revert, QUICK)
    }

    /// Has the board start afresh, and greets it.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn restart(&mut self) -> Result<BoardInfo, Error> {
        self.call("a restart", &Request::Restart, QUICK, |answer| matches!(answer, Response::Done).then_some(()))?;
        self.hello(START)
    }
}
