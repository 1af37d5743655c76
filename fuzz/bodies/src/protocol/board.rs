//! The runner, with a model, on a link in memory.

use carafe_hil::sample::Sample;
use carafe_protocol::frame::{message, split};
use carafe_protocol::{Accumulator, CRC, Feed, Observe, Request, Response, VERSION};
use carafe_runner::{Ending, Identity, Memory, NoClock, NoStack, Runner};

use super::End;
use super::script::{Raw, broken, data, frame, noise, number};
use crate::Bytes;

/// Of a bank.
const BANK: usize = 1 << 10;
/// Of the arena, with room for rows that wait.
const ARENA: usize = 1 << 11;
/// The number of the first request behind the script.
const AFTER: u32 = 0x4000_0000;
/// Bytes of a model in a frame.
const CHUNK: usize = 300;

/// A link that gives what is there, and keeps what it gets.
struct Link<'a> {
    left: &'a [u8],
    sent: &'a mut Vec<u8>,
    /// The most bytes that it gives or takes at a time.
    most: usize,
    /// Bytes that it takes until it fails.
    room: usize,
}

#[derive(Debug)]
struct Broken;

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the link is broken")
    }
}

impl core::error::Error for Broken {}

impl embedded_io::Error for Broken {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::BrokenPipe
    }
}

impl embedded_io::ErrorType for Link<'_> {
    type Error = Broken;
}

impl embedded_io::Read for Link<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Broken> {
        let (now, rest) = self.left.split_at(to.len().min(self.most).min(self.left.len()));
        to[..now.len()].copy_from_slice(now);
        self.left = rest;
        Ok(now.len())
    }
}

impl embedded_io::Write for Link<'_> {
    fn write(&mut self, from: &[u8]) -> Result<usize, Broken> {
        let n = from.len().min(self.most).min(self.room);
        self.sent.extend_from_slice(&from[..n]);
        self.room -= n;
        match n {
            0 if self.most.is_multiple_of(2) => Err(Broken),
            n => Ok(n),
        }
    }

    fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

/// Whatever comes, the runner answers the next sound request, and keeps its model unless it was told otherwise.
pub fn check(bytes: &mut Bytes<'_>) -> End {
    let (kind, most, fails) = (bytes.byte(), 1 + bytes.below(96), bytes.byte());
    let sample = if kind & 1 == 0 { Sample::new(4, 3, 2, 17) } else { Sample::new(4, 3, 2, 17).pushed() };
    let (blob, input) = (sample.blob(), (0..sample.bytes()).map(|i| (i * 37) as u8).collect::<Vec<_>>());

    let load = |seq| {
        let (len, crc) = (blob.len() as u32, CRC.checksum(&blob));
        let mut frames = vec![frame(seq, &Request::LoadBegin { len, crc })];
        for (i, data) in blob.chunks(CHUNK).enumerate() {
            frames.push(frame(seq + 1 + i as u32, &Request::LoadChunk { offset: (i * CHUNK) as u32, data }));
        }
        frames.push(frame(seq + frames.len() as u32, &Request::LoadEnd));
        frames.concat()
    };
    let compute = |seq| {
        let set = Request::SetInput { index: 0, offset: 0, data: &input };
        [frame(seq, &set), frame(seq + 1, &Request::Run { observe: Observe::Nothing })].concat()
    };
    let hello = |seq| frame(seq, &Request::Hello { version: VERSION });
    let begin = [hello(1), load(2)].concat();
    let script = script(bytes, &blob);
    // The first zero ends whatever the script has left open.
    let end = [vec![0], hello(AFTER), compute(AFTER + 1), load(AFTER + 10), compute(AFTER + 20)].concat();

    let mut sent = Vec::new();
    let room = if fails < 0xE0 { usize::MAX } else { 64 * usize::from(fails & 31) };
    let (mut front, mut back, mut arena) = ([0xAA; BANK], [0xAA; BANK], [0xAA; ARENA]);
    let spare = if kind & 2 == 0 { BANK } else { 0 };
    let memory = Memory { banks: [&mut front, &mut back[..spare]], arena: &mut arena };
    let all = [begin.as_slice(), &script, &end].concat();
    let link = Link { left: &all, sent: &mut sent, most, room };
    let identity = Identity { board: "fuzzed", cpu: "host" };
    let ending = Runner::new(identity, carafe::ops::ALL, link, NoClock, NoStack, memory).serve();

    let asked = requests(&begin, &script);
    if asked.exits && matches!(ending, Ending::Exit { .. } | Ending::Restart) || room < usize::MAX {
        return End::Left;
    }
    assert_eq!(ending, Ending::LinkLost, "not before all was read");
    let answers = answers(&sent);
    let first = answers.iter().rposition(|(seq, _)| *seq == AFTER).expect("the greeting is answered");
    let answer = |seq| {
        let found = answers[first..].iter().rfind(|(s, _)| *s == seq).expect("every request is answered");
        message::<Response<'_>>(&found.1).expect("the answer is one")
    };
    let computes = |seq| matches!(answer(seq + 1), Response::Ran { output, .. } if output == sample.expected(&input));
    assert!(matches!(answer(AFTER), Response::Info(info) if info.board == "fuzzed"));
    let kept = computes(AFTER + 1);
    let told = asked.forgets || answers.iter().filter(|(_, body)| is_loaded(body)).count() > 2;
    assert!(kept || told, "the model is lost: {:?}", answer(AFTER + 2));
    assert!(computes(AFTER + 20), "no other model is taken: {:?}", answer(AFTER + 21));
    if told { End::Told } else { End::Kept }
}

/// Frames of all sorts.
fn script(bytes: &mut Bytes<'_>, blob: &[u8]) -> Vec<u8> {
    let (mut script, mut last, mut seq) = (Vec::new(), Vec::new(), 100);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        match bytes.below(12) {
            0 => script.extend(noise(bytes)),
            1 => {
                let (seq, body) = (number(bytes), data(bytes));
                last = frame(seq, &Raw(&body));
                script.extend(&last);
            }
            2 => script.extend(&last),
            3 | 4 => {
                let mut frame = last.clone();
                broken(bytes, &mut frame);
                script.extend(frame);
            }
            _ => {
                seq += 1;
                last = request(bytes, seq, blob);
                script.extend(&last);
            }
        }
    }
    script
}

fn request(bytes: &mut Bytes<'_>, seq: u32, blob: &[u8]) -> Vec<u8> {
    let kind = bytes.byte();
    let index = (kind >> 6) as u16;
    let (len, crc) = (blob.len() as u32, CRC.checksum(blob));
    match kind % 16 {
        0 => frame(seq, &Request::Hello { version: VERSION }),
        1 => frame(seq, &Request::Echo { data: &data(bytes) }),
        2 => frame(seq, &Request::LoadBegin { len, crc }),
        3 => frame(seq, &Request::LoadBegin { len: number(bytes), crc: number(bytes) }),
        4 => {
            let from = usize::from(bytes.short()) % blob.len();
            let data = &blob[from..blob.len().min(from + CHUNK)];
            frame(seq, &Request::LoadChunk { offset: from as u32, data })
        }
        5 => frame(seq, &Request::LoadChunk { offset: number(bytes), data: &data(bytes) }),
        6 => frame(seq, &Request::LoadEnd),
        7 | 8 => frame(seq, &Request::SetInput { index, offset: number(bytes), data: &data(bytes) }),
        9 => frame(seq, &Request::Run { observe: Observe::Nothing }),
        10 => {
            let observe = match bytes.below(3) {
                0 => Observe::Profile,
                1 => Observe::Digests,
                _ => Observe::Node { node: u16::from(bytes.byte()) },
            };
            frame(seq, &Request::Run { observe })
        }
        11 => frame(seq, &Request::GetOutput { index, offset: number(bytes), len: bytes.short() }),
        12 => frame(seq, &Request::GetProfile { index: number(bytes) as u16 }),
        13 if index == 3 => frame(seq, &Request::Reset),
        14 if index == 3 => frame(seq, &Request::Exit { code: bytes.byte() }),
        _ => frame(seq, &Request::SetInput { index: 0, offset: 0, data: &[5; 24] }),
    }
}

/// What the script asks for in so many words.
#[derive(Default)]
struct Asked {
    exits: bool,
    /// A reset, or a model for which there may be no room beside this one.
    forgets: bool,
}

fn requests(begin: &[u8], script: &[u8]) -> Asked {
    let mut asked = Asked::default();
    let mut inbox: Accumulator = Accumulator::new();
    for (i, byte) in begin.iter().chain(script).chain(&[0]).enumerate() {
        if inbox.feed(*byte) != Feed::Frame || i < begin.len() {
            continue;
        }
        match split(inbox.payload()).and_then(|(_, body)| message(body)) {
            Ok(Request::Exit { .. } | Request::Restart) => asked.exits = true,
            Ok(Request::Reset | Request::LoadBegin { .. }) => asked.forgets = true,
            _ => {}
        }
    }
    asked
}

/// The answers in what the board sent, which is nothing but sound frames.
fn answers(sent: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut inbox: Accumulator = Accumulator::new();
    let mut answers = Vec::new();
    for byte in sent {
        match inbox.feed(*byte) {
            Feed::Pending => {}
            Feed::Frame => {
                let (seq, body) = split(inbox.payload()).expect("the board's frames have numbers");
                answers.push((seq, body.to_vec()));
            }
            Feed::Broken(error) => panic!("the board sent a broken frame: {error:?}"),
        }
    }
    answers
}

fn is_loaded(body: &[u8]) -> bool {
    matches!(message::<Response<'_>>(body), Ok(Response::Loaded(_)))
}
