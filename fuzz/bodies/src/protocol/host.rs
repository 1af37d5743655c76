//! The host's client, and a board that answers what it likes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use carafe_hil::{Client, Error, Transport};
use carafe_protocol::frame::{message, split};
use carafe_protocol::{
    Accumulator, Arithmetics, BlobFault, Counter, CounterKind, Fault, Feed, Info, Loaded, NodeTicks, Observe, Request,
    Response, Row, RunFault, RunStats, VERSION, Version,
};

use super::End;
use super::script::{Raw, broken, data, frame, noise, number};
use crate::Bytes;

/// A link whose other end follows a script: some frames for every request, and at its end the link is gone.
struct Liar<'a> {
    script: Bytes<'a>,
    inbox: Accumulator,
    ready: VecDeque<u8>,
    last: Vec<u8>,
    /// The most bytes that it gives at a time.
    most: usize,
    /// Requests that it got.
    requests: usize,
}

impl Transport for Liar<'_> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            if self.inbox.feed(*byte) == Feed::Frame {
                let payload = self.inbox.payload().to_vec();
                let (seq, body) = split(&payload).expect("the host's frames have numbers");
                let request = message(body).expect("the host's requests are sound");
                self.requests += 1;
                self.answer(seq, request);
            }
        }
        Ok(())
    }

    fn receive(&mut self, to: &mut Vec<u8>, _: Duration) -> io::Result<()> {
        let n = self.ready.len().min(self.most);
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        to.extend(self.ready.drain(..n));
        Ok(())
    }
}

impl Liar<'_> {
    /// Some frames, the last of them most likely an answer.
    fn answer(&mut self, seq: u32, request: Request<'_>) {
        for _ in 0..16 {
            if self.script.is_empty() {
                return;
            }
            let kind = self.script.byte();
            let bytes = &mut self.script;
            let frame = match kind % 16 {
                0 => noise(bytes),
                1 => frame(seq, &Raw(&data(bytes))),
                2 => frame(number(bytes), &any(bytes)(&data(bytes))),
                3 => frame(0, &Response::Garbled),
                4 => {
                    let mut frame = self.last.clone();
                    broken(bytes, &mut frame);
                    frame
                }
                5 => {
                    let record = [(); 6].map(|()| number(bytes));
                    let [number, node, row, len, crc, offset] = record;
                    let (node, row) = (node as u16, row as u16);
                    frame(seq, &Response::Row(Row { number, node, row, len, crc, offset, data: &data(bytes) }))
                }
                6 => self.last.clone(),
                7 => frame(seq, &any(bytes)(&data(bytes))),
                _ => fitting(bytes, seq, request),
            };
            self.ready.extend(&frame);
            self.last = frame;
            if kind & 0x80 == 0 {
                return;
            }
        }
    }
}

/// An answer of some kind.
fn any<'b>(bytes: &mut Bytes<'_>) -> impl FnOnce(&'b [u8]) -> Response<'b> + use<'b> {
    let (kind, n) = (bytes.below(8), number(bytes));
    let index = n as u16;
    move |data| match kind {
        0 => Response::Done,
        1 => Response::Garbled,
        2 => Response::Fault(Fault::ArenaTooSmall { need: n, have: !n }),
        3 => Response::Fault(Fault::Run { why: RunFault::Plan { node: index } }),
        4 => Response::Fault(Fault::Blob(BlobFault::MissingOp { node: index, op: !index, version: 1 })),
        5 => Response::Fault(Fault::Version { device: Version { major: n as u8, minor: 0 } }),
        6 => Response::Echo { data },
        _ => Response::Output { data },
    }
}

/// The kind of answer that belongs to a request, with other numbers in it.
fn fitting(bytes: &mut Bytes<'_>, seq: u32, request: Request<'_>) -> Vec<u8> {
    let counter = Counter { kind: CounterKind::Time, hz: 1 };
    match request {
        Request::Hello { .. } => {
            let (max_data, ops) = (number(bytes) as u16, data(bytes));
            let [model_bytes, arena_bytes] = [(); 2].map(|()| number(bytes));
            let arithmetics = Arithmetics { native: true, tflite: false };
            let board = std::str::from_utf8(&ops).unwrap_or("board");
            let info = Info {
                version: VERSION,
                board,
                cpu: "",
                model_bytes,
                arena_bytes,
                max_data,
                counter,
                arithmetics,
                ops: &ops,
            };
            frame(seq, &Response::Info(info))
        }
        Request::Echo { data } => frame(seq, &Response::Echo { data }),
        Request::LoadEnd => {
            let [arena_bytes, state_bytes, inputs, outputs] = [(); 4].map(|()| number(bytes));
            let (inputs, outputs) = (inputs as u16, outputs as u16);
            frame(seq, &Response::Loaded(Loaded { arena_bytes, state_bytes, inputs, outputs }))
        }
        Request::Run { .. } => {
            let [ticks, steps, arena_bytes, arena_high_water, rows] = [(); 5].map(|()| number(bytes));
            let ticks = u64::from(ticks) << 32;
            let stats = RunStats { ticks, steps, arena_bytes, arena_high_water, stack_bytes: Some(ticks as u32), rows };
            frame(seq, &Response::Ran { stats, output: &data(bytes) })
        }
        Request::GetOutput { len, .. } => {
            let more = bytes.below(16) / 15;
            frame(seq, &Response::Output { data: &vec![7; usize::from(len) + more] })
        }
        Request::GetProfile { index } => {
            let count = number(bytes) as u16;
            let record = NodeTicks { node: index, op: count, calls: 1, ticks: u64::MAX };
            frame(seq, &Response::Profile { count, record })
        }
        _ => frame(seq, &Response::Done),
    }
}

/// What the host may wait in all: nothing here takes time.
const LIMIT: Duration = Duration::from_secs(10);

/// Every call comes back, with an answer that is as long as it has to be, or with words.
pub fn check(bytes: &mut Bytes<'_>) -> End {
    let most = 1 + usize::from(bytes.byte());
    let liar = Liar {
        script: bytes.clone(),
        inbox: Accumulator::new(),
        ready: VecDeque::new(),
        last: Vec::new(),
        most,
        requests: 0,
    };
    let scripted = bytes.take(usize::MAX).len();
    let begun = Instant::now();
    let mut client = Client::new("liar", liar);
    told(client.hello(LIMIT));
    told(client.load(&[0x5A; 700]));
    told(client.set_input(0, &[1; 100]));
    for observe in [Observe::Nothing, Observe::Profile, Observe::Digests, Observe::Node { node: 1 }] {
        if let Some(ran) = told(client.run(observe, LIMIT)) {
            assert!(ran.first_output.is_none_or(|output| !output.is_empty()));
        }
        for len in [0, 1, 1500] {
            if let Some(output) = told(client.output(0, len)) {
                assert_eq!(output.len(), len);
            }
        }
        if let Some(records) = told(client.profile()) {
            assert!(!records.is_empty() && records.len() <= 1 << 16);
        }
    }
    told(client.echo(&[1, 2, 3]));
    told(client.reset());
    told(client.exit(0));
    // Each request but the last of a call was answered from the script.
    assert!(client.transport().requests <= 2 * scripted + 40, "{} requests", client.transport().requests);
    assert!(begun.elapsed() < 2 * LIMIT, "the host waits");
    End::Host
}

/// The answer, or an error with words.
fn told<R>(result: Result<R, Error>) -> Option<R> {
    result.map_err(|error| assert!(error.to_string().starts_with("liar"), "{error}")).ok()
}
