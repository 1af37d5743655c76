//! A board behind a link as a target: started afresh when it hangs, with the model that was on it.

use std::time::Duration;

use carafe::Model;
use carafe_boards::Board;
use carafe_protocol::Observe;

use crate::Error;
use crate::client::{BoardInfo, Client, Ran};
use crate::host::check_inputs;
use crate::target::{Case, LoadedModel, Outcome};
use crate::transport::Transport;

/// How a board is had.
pub(crate) trait Start {
    /// The link to it.
    type Link: Transport;

    /// Starts the board and greets it; `again` if it was there before, and shall forget what it was at.
    fn start(&mut self, board: &Board, again: bool) -> Result<(Client<Self::Link>, BoardInfo), Error>;
}

/// A board behind a link.
pub(crate) struct Remote<S: Start> {
    pub board: &'static Board,
    pub info: BoardInfo,
    start: S,
    /// `None` after a failure, until the next start.
    client: Option<Client<S::Link>>,
    blob: Option<Vec<u8>>,
}

impl<S: Start> Remote<S> {
    pub fn new(board: &'static Board, mut start: S) -> Result<Self, Error> {
        let (client, info) = start.start(board, false)?;
        Ok(Self { board, info, start, client: Some(client), blob: None })
    }

    /// What starts it.
    pub fn starter(&self) -> &S {
        &self.start
    }

    /// The client; after a failure the board is started afresh, with its model.
    pub fn client(&mut self) -> Result<&mut Client<S::Link>, Error> {
        if self.client.is_none() {
            let (mut client, info) = self.start.start(self.board, true)?;
            if let Some(blob) = &self.blob {
                client.load(blob)?;
            }
            self.info = info;
            return Ok(self.client.insert(client));
        }
        self.client.as_mut().ok_or_else(|| Error::NoModel { board: self.board.name.to_owned() })
    }

    /// The client, if it has not failed.
    pub fn present(&mut self) -> Option<&mut Client<S::Link>> {
        self.client.as_mut()
    }

    /// Does something on the board; after a hang or a lost link once more, on a fresh start. True if it was needed.
    fn with_restart<R>(
        &mut self,
        mut action: impl FnMut(&mut Client<S::Link>) -> Result<R, Error>,
    ) -> Result<(R, bool), Error> {
        let first = match self.client().and_then(&mut action) {
            Err(error) if error.is_link() => error,
            other => return other.map(|result| (result, false)),
        };
        self.client = None;
        match self.client().and_then(&mut action) {
            Ok(result) => Ok((result, true)),
            Err(second) => {
                if second.is_link() {
                    self.client = None;
                }
                // Of one that does not come back, how it left says more.
                Err(if second.is_absence() { first } else { second })
            }
        }
    }

    pub fn load(&mut self, blob: &[u8]) -> Result<LoadedModel, Error> {
        self.blob = None;
        let (loaded, _) = self.with_restart(|client| client.load(blob))?;
        self.blob = Some(blob.to_vec());
        Ok(LoadedModel { arena_bytes: loaded.arena_bytes as usize, state_bytes: loaded.state_bytes as usize })
    }

    pub fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let blob = self.blob.take().ok_or_else(|| Error::NoModel { board: self.board.name.to_owned() })?;
        let sizes = output_sizes(self.board.name, &blob, case);
        self.blob = Some(blob);
        let sizes = sizes?;
        let (mut outcome, restarted) = self.with_restart(|client| exec(client, case, &sizes, limit))?;
        outcome.restarted = restarted;
        outcome.counter = Some(self.info.counter).filter(|counter| counter.hz > 0);
        Ok(outcome)
    }

    /// Starts it afresh, without a model.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.client = None;
        self.blob = None;
        self.client().map(|_| ())
    }
}

/// Bytes of each output. The host's own view of the model serves; the board has verified the same bytes.
fn output_sizes(board: &str, blob: &[u8], case: &Case<'_>) -> Result<Vec<usize>, Error> {
    let refused = |source| Error::Blob { board: board.to_owned(), source };
    let model = Model::verify(blob, carafe::ops::ALL).map_err(refused)?;
    check_inputs(board, &model, case)?;
    Ok((0..model.outputs()).filter_map(|i| model.output(i)).map(|io| io.bytes).collect())
}

fn exec<T: Transport>(
    client: &mut Client<T>,
    case: &Case<'_>,
    sizes: &[usize],
    limit: Duration,
) -> Result<Outcome, Error> {
    for (index, tensor) in (0..).zip(&case.inputs) {
        client.set_input(index, tensor)?;
    }
    let Ran { stats, first_output, rows } = client.run(case.observe, limit)?;
    let mut outputs = Vec::new();
    // One of another length is not that of this model, whatever the board thinks.
    outputs.extend(first_output.filter(|output| Some(&output.len()) == sizes.first()));
    for (index, &len) in sizes.iter().enumerate().skip(outputs.len()) {
        outputs.push(client.output(index as u16, len)?);
    }
    Ok(Outcome {
        outputs,
        ticks: stats.ticks,
        steps: stats.steps,
        arena_bytes: stats.arena_bytes as usize,
        arena_high_water: stats.arena_high_water as usize,
        stack_bytes: stats.stack_bytes.map(|bytes| bytes as usize),
        profile: if case.observe == Observe::Profile { client.profile()? } else { Vec::new() },
        rows,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use carafe_protocol::frame::{encode, message, split};
    use carafe_protocol::{Accumulator, Feed, MAX_FRAME, Request, Response, RunStats};

    use super::*;

    /// A board whose runs bring an output that is too short.
    #[derive(Default)]
    struct Short {
        inbox: Accumulator,
        answer: Vec<u8>,
    }

    impl Transport for Short {
        fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
            for byte in bytes {
                if self.inbox.feed(*byte) != Feed::Frame {
                    continue;
                }
                let (seq, body) = split(self.inbox.payload()).unwrap();
                let stats =
                    RunStats { ticks: 1, steps: 1, arena_bytes: 1, arena_high_water: 1, stack_bytes: None, rows: 0 };
                let data = [9; 4];
                let response = match message(body).unwrap() {
                    Request::Run { .. } => Response::Ran { stats, output: &[1, 2, 3] },
                    Request::GetOutput { len, .. } => Response::Output { data: &data[..usize::from(len)] },
                    _ => Response::Done,
                };
                self.answer = encode(seq, &response, &mut [0; MAX_FRAME]).unwrap().to_vec();
            }
            Ok(())
        }

        fn receive(&mut self, to: &mut Vec<u8>, _: Duration) -> io::Result<()> {
            to.append(&mut self.answer);
            Ok(())
        }
    }

    #[test]
    fn an_output_of_another_length_is_not_taken() {
        let mut client = Client::new("short", Short::default());
        let outcome = exec(&mut client, &Case::of(&[&[5; 6]]), &[4], Duration::from_secs(5)).unwrap();
        assert_eq!(outcome.outputs, [[9; 4]]);
    }
}
