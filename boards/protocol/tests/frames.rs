//! Frames and messages: everything that is written is read again, and nothing that is read can do harm.

use carafe_protocol::frame::{encode, message, split};
use carafe_protocol::{
    Accumulator, Arithmetics, BlobFault, Counter, CounterKind, Fault, Feed, FrameError, Info, Loaded, MAX_DATA,
    MAX_FRAME, MAX_NAME, NodeTicks, Observe, Passed, Request, Response, Row, RunFault, RunStats, SlotInfo, SlotReason,
    SlotState, Slots, VERSION, Version,
};
use proptest::prelude::*;

fn requests(data: &[u8], n: u32) -> Vec<Request<'_>> {
    let index = n as u16;
    vec![
        Request::Hello { version: VERSION },
        Request::Echo { data },
        Request::LoadBegin { len: n, crc: !n },
        Request::LoadChunk { offset: n, data },
        Request::LoadEnd,
        Request::SetInput { index, offset: n, data },
        Request::Run { observe: Observe::Nothing },
        Request::Run { observe: Observe::Node { node: index } },
        Request::GetOutput { index, offset: n, len: index },
        Request::GetProfile { index },
        Request::Reset,
        Request::Exit { code: n as u8 },
        Request::FlashBegin { len: n, crc: !n },
        Request::FlashChunk { offset: n, data },
        Request::FlashEnd,
        Request::GetSlots,
        Request::Confirm,
        Request::Revert,
        Request::Restart,
    ]
}

fn responses<'a>(data: &'a [u8], name: &'a str, n: u32) -> Vec<Response<'a>> {
    let node = n as u16;
    let stats = RunStats {
        ticks: u64::MAX,
        steps: n,
        arena_bytes: n,
        arena_high_water: n,
        stack_bytes: Some(u32::MAX),
        rows: u32::MAX,
    };
    vec![
        Response::Info(Info {
            version: VERSION,
            board: name,
            cpu: name,
            model_bytes: u32::MAX,
            arena_bytes: u32::MAX,
            max_data: u16::MAX,
            counter: Counter { kind: CounterKind::Instructions, hz: u32::MAX },
            arithmetics: Arithmetics { native: true, tflite: true },
            ops: &data[..data.len().min(256)],
        }),
        Response::Echo { data },
        Response::Done,
        Response::Loaded(Loaded { arena_bytes: n, state_bytes: n, inputs: node, outputs: node }),
        Response::Ran { stats, output: data },
        Response::Output { data },
        Response::Profile { count: node, record: NodeTicks { node, op: node, calls: n, ticks: u64::MAX } },
        Response::Fault(Fault::ArenaTooSmall { need: n, have: u32::MAX }),
        Response::Fault(Fault::Blob(BlobFault::MissingOp { node, op: node, version: 3 })),
        Response::Fault(Fault::Run { why: RunFault::Plan { node } }),
        Response::Garbled,
        Response::Row(Row {
            number: u32::MAX,
            node: u16::MAX,
            row: u16::MAX,
            len: u32::MAX,
            crc: u32::MAX,
            offset: u32::MAX,
            data,
        }),
        Response::Slots(Slots {
            model_bytes: n,
            key: Some([0xFF; 8]),
            running: Some(1),
            slots: [SlotState::Trial(3), SlotState::Rejected(SlotReason::Flash)].map(|state| SlotInfo {
                state,
                sequence: n,
                len: n,
                crc: n,
            }),
            passed: Some(Passed { slot: 1, why: SlotReason::Golden }),
        }),
        Response::Fault(Fault::OtherKey { key: [0xFF; 8], signed: [0; 8] }),
        Response::Log { data },
    ]
}

/// Feeds all bytes; what came of those that made something of it.
fn feed(inbox: &mut Accumulator, bytes: &[u8]) -> Vec<Feed> {
    bytes.iter().map(|byte| inbox.feed(*byte)).filter(|feed| *feed != Feed::Pending).collect()
}

#[test]
fn every_message_fits_a_frame_at_its_largest_and_comes_back() {
    for fill in [0, 1, 0xFF] {
        let data = [fill; MAX_DATA];
        let name = "n".repeat(MAX_NAME);
        let mut room = [0; MAX_FRAME];
        let mut inbox: Accumulator = Accumulator::new();
        for request in requests(&data, u32::MAX) {
            let frame = encode(u32::MAX, &request, &mut room).unwrap();
            assert_eq!(frame.iter().position(|byte| *byte == 0), Some(frame.len() - 1));
            assert_eq!(feed(&mut inbox, frame), [Feed::Frame]);
            let (seq, body) = split(inbox.payload()).unwrap();
            assert_eq!((seq, message(body)), (u32::MAX, Ok(request)));
        }
        for response in responses(&data, &name, u32::MAX) {
            let frame = encode(u32::MAX, &response, &mut room).unwrap();
            assert_eq!(feed(&mut inbox, frame), [Feed::Frame], "{response:?}");
            let (seq, body) = split(inbox.payload()).unwrap();
            assert_eq!((seq, message(body)), (u32::MAX, Ok(response)));
        }
    }
}

/// The bytes of version 1.0, and what 1.1 appends: a change of any of these is a change of the protocol.
#[test]
fn the_bytes_on_the_wire_are_these() {
    let wire = |seq, request: Request<'_>| encode(seq, &request, &mut [0; MAX_FRAME]).unwrap().to_vec();
    // Sequence number 1, variant 0, version 1.0, CRC: the example of docs/protocol.md.
    let hello = wire(1, Request::Hello { version: Version { major: 1, minor: 0 } });
    assert_eq!(hello, [2, 1, 2, 1, 5, 0x38, 0x89, 0xE3, 0x80, 0], "{hello:02X?}");
    let kinds = requests(&[], 0).into_iter().map(|request| wire(1, request)).map(|bytes| {
        let mut inbox: Accumulator = Accumulator::new();
        feed(&mut inbox, &bytes);
        split(inbox.payload()).unwrap().1[0]
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    let kinds = responses(&[], "", 0).into_iter().map(|response| {
        let mut inbox: Accumulator = Accumulator::new();
        feed(&mut inbox, encode(1, &response, &mut [0; MAX_FRAME]).unwrap());
        split(inbox.payload()).unwrap().1[0]
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 9, 10, 7, 11]);
}

#[test]
fn bytes_after_a_message_are_ignored_for_newer_peers_may_append() {
    let mut inbox: Accumulator = Accumulator::new();
    feed(&mut inbox, encode(5, &(Request::GetProfile { index: 3 }, 77u32), &mut [0; 64]).unwrap());
    let (_, body) = split(inbox.payload()).unwrap();
    assert_eq!(message(body), Ok(Request::GetProfile { index: 3 }));
}

#[test]
fn a_frame_that_does_not_fit_is_refused_on_both_sides() {
    let data = [7; 100];
    let echo = Request::Echo { data: &data };
    assert_eq!(encode(1, &echo, &mut [0; 100]), Err(FrameError::TooLong));
    assert_eq!(encode(1, &echo, &mut []), Err(FrameError::TooLong));
    let mut small = Accumulator::<64>::new();
    let mut room = [0; 200];
    let frame = encode(1, &echo, &mut room).unwrap();
    let seen = frame.iter().map(|byte| small.feed(*byte)).filter(|feed| *feed != Feed::Pending).collect::<Vec<_>>();
    assert_eq!(seen, [Feed::Broken(FrameError::TooLong)]);
    let frame = encode(2, &Request::Reset, &mut room).unwrap();
    assert_eq!(frame.iter().map(|byte| small.feed(*byte)).last(), Some(Feed::Frame));
}

/// The CRC of nothing is 0.
#[test]
fn four_zeros_are_no_frame() {
    let mut inbox: Accumulator = Accumulator::new();
    assert_eq!(feed(&mut inbox, &[1, 1, 1, 1, 1, 0]), [Feed::Broken(FrameError::Crc)]);
}

#[test]
fn the_payload_is_there_from_the_frame_to_the_next_byte() {
    let mut inbox: Accumulator = Accumulator::new();
    feed(&mut inbox, encode(1, &Request::Reset, &mut [0; 64]).unwrap());
    assert!(!inbox.payload().is_empty());
    assert_eq!(inbox.feed(3), Feed::Pending);
    assert!(inbox.payload().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_data_comes_back(data in prop::collection::vec(any::<u8>(), 0..=MAX_DATA), seq: u32) {
        let mut inbox: Accumulator = Accumulator::new();
        let mut room = [0; MAX_FRAME];
        let frame = encode(seq, &Request::Echo { data: &data }, &mut room).unwrap();
        prop_assert_eq!(feed(&mut inbox, frame), [Feed::Frame]);
        let (found, body) = split(inbox.payload()).unwrap();
        prop_assert_eq!((found, message(body)), (seq, Ok(Request::Echo { data: &data })));
    }

    #[test]
    fn any_row_fits_a_frame_and_comes_back(
        data in prop::collection::vec(any::<u8>(), 0..=MAX_DATA), number: u32, node: u16, row: u16, len: u32, crc: u32,
        offset: u32, seq: u32,
    ) {
        let response = Response::Row(Row { number, node, row, len, crc, offset, data: &data });
        let mut inbox: Accumulator = Accumulator::new();
        let mut room = [0; MAX_FRAME];
        let frame = encode(seq, &response, &mut room).unwrap();
        prop_assert_eq!(feed(&mut inbox, frame), [Feed::Frame]);
        let (found, body) = split(inbox.payload()).unwrap();
        prop_assert_eq!((found, message(body)), (seq, Ok(response)));
    }

    /// A digest is what layer-diff has thousands of: small, whatever the row.
    #[test]
    fn a_digest_takes_few_bytes(number: u32, node: u16, row: u16, len: u32, crc: u32, seq: u32) {
        let response = Response::Row(Row { number, node, row, len, crc, offset: 0, data: &[] });
        prop_assert!(encode(seq, &response, &mut [0; 40]).is_ok());
    }

    /// Whatever came before, the next zero byte is a beginning: the frame after it is read.
    #[test]
    fn after_any_garbage_the_next_zero_is_a_beginning(
        garbage in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xFF), Just(1)], 0..3_000),
    ) {
        let mut inbox: Accumulator = Accumulator::new();
        for feed in feed(&mut inbox, &garbage) {
            prop_assert!(matches!(feed, Feed::Broken(_)), "garbage has the right CRC once in 2^32");
        }
        inbox.feed(0);
        let mut room = [0; 64];
        let frame = encode(9, &Request::LoadEnd, &mut room).unwrap();
        prop_assert_eq!(feed(&mut inbox, frame), [Feed::Frame]);
        let (seq, body) = split(inbox.payload()).unwrap();
        prop_assert_eq!((seq, message(body)), (9, Ok(Request::LoadEnd)));
    }

    /// One bit changed, bytes lost from the end or the middle: never the frame, and never another.
    #[test]
    fn a_damaged_frame_is_never_taken_for_one(
        data in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8u8, how in 0..3u8,
    ) {
        let mut room = [0; MAX_FRAME];
        let mut frame = encode(3, &Request::LoadChunk { offset: 4, data: &data }, &mut room).unwrap().to_vec();
        let at = at.index(frame.len() - 1);
        match how {
            0 => frame[at] ^= 1 << bit,
            1 => { frame.drain(at..frame.len() - 1); }
            _ => { frame.remove(at); }
        }
        frame.push(0);
        let mut inbox: Accumulator = Accumulator::new();
        let seen = feed(&mut inbox, &frame);
        prop_assert!(seen.iter().all(|feed| matches!(feed, Feed::Broken(_))), "{:?}", seen);
    }

    /// Messages from any bytes: an error or a value, never a panic.
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((_, body)) = split(&bytes) {
            let _ = message::<Request<'_>>(body);
            let _ = message::<Response<'_>>(body);
        }
    }
}
