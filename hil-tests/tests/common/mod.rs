//! A board in a thread, a link that garbles, and what every board has to stand.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use carafe_hil::protocol::frame::encode;
use carafe_hil::protocol::{BlobFault, Fault, MAX_DATA, MAX_FRAME, Observe, Request, Response};
use carafe_hil::sample::Sample;
use carafe_hil::{Client, Error, Transport};
use carafe_runner::carafe_slots::{Key, RamFlash, Slots};
use carafe_runner::{Clock, Counter, CounterKind, Ending, Identity, Memory, NoStack, Runner, carafe};

pub const LIMIT: Duration = Duration::from_secs(20);

/// The board's end of a link in memory.
struct BoardEnd {
    from: Receiver<Vec<u8>>,
    ready: VecDeque<u8>,
    to: Sender<Vec<u8>>,
}

impl embedded_io::ErrorType for BoardEnd {
    type Error = Infallible;
}

impl embedded_io::Read for BoardEnd {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        while self.ready.is_empty() {
            match self.from.recv() {
                Ok(bytes) => self.ready.extend(bytes),
                Err(_) => return Ok(0),
            }
        }
        let n = buf.len().min(self.ready.len());
        for (to, from) in buf.iter_mut().zip(self.ready.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

impl embedded_io::Write for BoardEnd {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        // A host that has gone reads no more; the board sees it when it reads.
        let _ = self.to.send(buf.to_vec());
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The host's end.
pub struct HostEnd {
    to: Option<Sender<Vec<u8>>>,
    from: Receiver<Vec<u8>>,
}

impl HostEnd {
    pub fn hang_up(&mut self) {
        self.to = None;
    }
}

impl Transport for HostEnd {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let gone = || io::Error::from(ErrorKind::BrokenPipe);
        self.to.as_ref().ok_or_else(gone)?.send(bytes.to_vec()).map_err(|_| gone())
    }

    fn receive(&mut self, to: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
        match self.from.recv_timeout(limit) {
            Ok(bytes) => to.extend(bytes),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}

struct Ticks(u64);

impl Clock for Ticks {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Cycles, hz: 1_000 }
    }

    fn ticks(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Bytes of a board's banks and arena.
#[derive(Clone, Copy)]
pub struct Sizes(pub usize, pub usize, pub usize);

pub const ROOMY: Sizes = Sizes(16 << 10, 16 << 10, 64 << 10);

/// Starts a board in a thread.
pub fn board(Sizes(front, back, arena): Sizes) -> (HostEnd, JoinHandle<Ending>) {
    let (to_board, from_host) = channel();
    let (to_host, from_board) = channel();
    let thread = std::thread::spawn(move || {
        let (mut front, mut back, mut arena) = (vec![0xAA; front], vec![0xAA; back], vec![0xAA; arena]);
        let memory = Memory { banks: [&mut front, &mut back], arena: &mut arena };
        let link = BoardEnd { from: from_host, ready: VecDeque::new(), to: to_host };
        let identity = Identity { board: "loopback", cpu: "host" };
        Runner::new(identity, carafe::ops::ALL, link, Ticks(0), NoStack, memory).serve()
    });
    (HostEnd { to: Some(to_board), from: from_board }, thread)
}

/// Bytes of a board's flash: two slots of half of it.
pub const FLASH: usize = 32 << 10;

/// Starts a board with flash in a thread. It takes models only that `key` has signed, if there is one.
pub fn board_with_flash(key: Option<Key>) -> (HostEnd, JoinHandle<Ending>) {
    let (to_board, from_host) = channel();
    let (to_host, from_board) = channel();
    let thread = std::thread::spawn(move || {
        let Sizes(front, back, arena) = ROOMY;
        let (mut front, mut back, mut arena) = (vec![0xAA; front], vec![0xAA; back], vec![0xAA; arena]);
        let mut flash = vec![0xAA; FLASH];
        let mut link = BoardEnd { from: from_host, ready: VecDeque::new(), to: to_host };
        loop {
            let memory = Memory { banks: [&mut front, &mut back], arena: &mut arena };
            let slots = Slots::new(RamFlash::<8, 1024>::new(&mut flash), 0, FLASH as u32 / 2).unwrap();
            let identity = Identity { board: "loopback", cpu: "host" };
            let runner = Runner::new(identity, carafe::ops::ALL, &mut link, Ticks(0), NoStack, memory);
            let runner = runner.with_slots(Some(slots));
            let runner = if let Some(key) = key { runner.with_key(key) } else { runner };
            match runner.serve() {
                Ending::Restart => {}
                ending => return ending,
            }
        }
    });
    (HostEnd { to: Some(to_board), from: from_board }, thread)
}

/// A client of a new board, greeted.
pub fn client(sizes: Sizes) -> Client<HostEnd> {
    let mut client = Client::new("loopback", board(sizes).0);
    client.hello(LIMIT).unwrap();
    client
}

/// Numbers that look random (xorshift64*).
pub struct Noise(pub u64);

impl Noise {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }
}

/// A link that changes, drops and doubles bytes, one in `one_in` each way.
pub struct Faulty<T> {
    pub inner: T,
    pub noise: Noise,
    pub one_in: usize,
}

impl<T> Faulty<T> {
    fn garble(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.noise.below(self.one_in) > 0 {
                out.push(byte);
                continue;
            }
            match self.noise.below(3) {
                0 => out.push(byte ^ (1 << self.noise.below(8))),
                1 => {}
                _ => out.extend([byte, byte]),
            }
        }
        out
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = self.garble(bytes);
        self.inner.send(&bytes)
    }

    fn receive(&mut self, to: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.inner.receive(&mut bytes, limit)?;
        to.extend(self.garble(&bytes));
        Ok(())
    }
}

/// A request as it goes over the wire.
pub fn wire(seq: u32, request: &Request<'_>) -> Vec<u8> {
    encode(seq, request, &mut [0; MAX_FRAME]).unwrap().to_vec()
}

/// A request that gets a plain `Done`.
pub fn plain<T: Transport>(client: &mut Client<T>, request: &Request<'_>) -> Result<(), Error> {
    client.call("a test", request, LIMIT, |response| matches!(response, Response::Done).then_some(()))
}

/// Demands that a request is refused, and tells how.
pub fn fault<T: Transport>(client: &mut Client<T>, request: &Request<'_>) -> Fault {
    match client.call("a test", request, LIMIT, |response| Some(format!("{response:?}"))) {
        Err(Error::Refused { fault, .. }) => fault,
        other => panic!("{request:?} was not refused: {other:?}"),
    }
}

/// Demands that the sample is on the board and computes.
pub fn computes<T: Transport>(client: &mut Client<T>, sample: &Sample, seed: u64) {
    let input = Noise(seed | 1).bytes(sample.bytes());
    client.set_input(0, &input).unwrap();
    let output = match client.run(Observe::Nothing, LIMIT).unwrap().first_output {
        Some(output) => output,
        None => client.output(0, sample.bytes()).unwrap(),
    };
    assert_eq!(output, sample.expected(&input), "{sample:?}");
}

/// Throws `frames` broken frames of all sorts at a board with a model, and demands that it keeps model and mind.
pub fn stands_noise<T: Transport>(client: &mut Client<T>, frames: usize, seed: u64) {
    let sample = Sample::new(4, 4, 3, 17);
    client.load(&sample.blob()).unwrap();
    let mut noise = Noise(seed);
    for i in 0..frames {
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
        let mut frame = wire(0x7000_0000 + i as u32, &request);
        match noise.below(5) {
            0 => {
                // One bit, but not in the zero byte at the end: then it would be whole, and wait for its end.
                let at = noise.below(frame.len() - 1);
                frame[at] ^= 1 << noise.below(8);
            }
            1 => frame.truncate(noise.below(frame.len() - 1)),
            2 => frame = noise.bytes(1 + i % 200),
            3 => frame = vec![1 + noise.below(255) as u8; 1 + noise.below(3000)],
            _ => {
                let at = 1 + noise.below(frame.len() - 2);
                frame.insert(at, 0);
            }
        }
        client.transport().send(&frame).unwrap();
        if i % 50 == 49 {
            client.hello(LIMIT).unwrap();
            assert_eq!(client.echo(&data).unwrap(), data);
            computes(client, &sample, i as u64);
        }
    }
}

/// Wrong transfers, each with the fault it deserves, and a board that still works after each.
pub fn stands_bad_transfers<T: Transport>(client: &mut Client<T>, model_bytes: usize) {
    use carafe_hil::protocol::CRC;
    let old = Sample::new(3, 2, 2, 1);
    client.load(&old.blob()).unwrap();
    let new = Sample::new(2, 2, 2, 5).blob();
    let (len, crc) = (new.len() as u32, CRC.checksum(&new));

    let have = model_bytes as u32;
    assert_eq!(fault(client, &Request::LoadBegin { len: have + 1, crc }), Fault::ModelTooBig { have });
    computes(client, &old, 1);
    assert_eq!(fault(client, &Request::LoadChunk { offset: 0, data: &new[..9] }), Fault::NoTransfer);
    assert_eq!(fault(client, &Request::LoadEnd), Fault::NoTransfer);

    plain(client, &Request::LoadBegin { len, crc }).unwrap();
    assert_eq!(fault(client, &Request::LoadChunk { offset: 5, data: &new[5..9] }), Fault::ChunkOrder { expected: 0 });
    plain(client, &Request::LoadChunk { offset: 0, data: &new[..100] }).unwrap();
    let long = vec![0; (new.len() - 99).min(MAX_DATA)];
    assert_eq!(
        fault(client, &Request::LoadChunk { offset: 100, data: &long }),
        Fault::ChunkTooLong { missing: len - 100 }
    );
    // A run in the middle of a transfer, on the old model.
    computes(client, &old, 2);
    assert_eq!(fault(client, &Request::LoadEnd), Fault::Incomplete { have: 100, need: len });
    computes(client, &old, 3);

    plain(client, &Request::LoadBegin { len, crc: crc ^ 1 }).unwrap();
    for (i, data) in new.chunks(100).enumerate() {
        plain(client, &Request::LoadChunk { offset: 100 * i as u32, data }).unwrap();
    }
    assert_eq!(fault(client, &Request::LoadEnd), Fault::TransferCrc);
    computes(client, &old, 4);

    let mut forged = new.clone();
    forged[40] ^= 0xFF;
    match client.load(&forged) {
        Err(Error::Refused { fault: Fault::Blob(BlobFault::Crc), .. }) => {}
        other => panic!("{other:?}"),
    }
    computes(client, &old, 5);

    // A reset in the middle of a transfer: no model, but a board that takes one.
    plain(client, &Request::LoadBegin { len, crc }).unwrap();
    plain(client, &Request::LoadChunk { offset: 0, data: &new[..100] }).unwrap();
    client.reset().unwrap();
    assert_eq!(fault(client, &Request::LoadChunk { offset: 100, data: &new[100..110] }), Fault::NoTransfer);
    assert_eq!(fault(client, &Request::Run { observe: Observe::Nothing }), Fault::NoModel);
    client.load(&new).unwrap();
    computes(client, &Sample::new(2, 2, 2, 5), 6);
}
