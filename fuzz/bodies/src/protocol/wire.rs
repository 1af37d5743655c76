//! Frames and messages taken apart and put together again.

use carafe_protocol::frame::{message, split};
use carafe_protocol::{Accumulator, Feed, MAX_PAYLOAD, Request, Response};

use super::End;
use super::script::{Raw, frame};
use crate::Bytes;

/// What is a message stays one, whatever came before it.
pub fn check(bytes: &mut Bytes<'_>) -> End {
    let seq = u32::from(bytes.short());
    let data = bytes.take(usize::MAX);
    let mut inbox = Accumulator::<MAX_PAYLOAD>::new();
    let mut small = Accumulator::<16>::new();
    for byte in data {
        if inbox.feed(*byte) == Feed::Frame {
            messages(inbox.payload());
        }
        if small.feed(*byte) == Feed::Frame {
            assert!(small.payload().len() <= 16);
        }
    }
    messages(data);
    inbox.feed(0);
    small.feed(0);
    let sound = frame(seq, &Raw(data));
    let is_short = data.len() <= MAX_PAYLOAD - 5 - 4;
    assert!(!sound.is_empty() || !is_short);
    if is_short {
        read_back(&mut inbox, &sound, seq, data);
        messages(inbox.payload());
    }
    let short = &data[..data.len().min(6)];
    read_back(&mut small, &frame(seq, &Raw(short)), seq, short);
    End::Wire
}

/// A frame is one to whoever has the room, and has what was put into it.
fn read_back<const N: usize>(inbox: &mut Accumulator<N>, frame: &[u8], seq: u32, body: &[u8]) {
    let (last, rest) = frame.split_last().expect("a frame has an end");
    assert!(rest.iter().all(|byte| inbox.feed(*byte) == Feed::Pending));
    assert_eq!((*last, inbox.feed(*last)), (0, Feed::Frame));
    assert_eq!(split(inbox.payload()), Ok((seq, body)));
}

/// Bytes that are a message are written as one that reads the same.
fn messages(payload: &[u8]) {
    let Ok((seq, body)) = split(payload) else { return };
    let mut inbox: Accumulator = Accumulator::new();
    let mut reread = |frame: &[u8]| {
        let made = frame.iter().map(|byte| inbox.feed(*byte)).last();
        assert!(made == Some(Feed::Frame) || frame.is_empty());
        inbox.payload().to_vec()
    };
    if let Ok(request) = message::<Request<'_>>(body) {
        let again = reread(&frame(seq, &request));
        if let Ok((_, body)) = split(&again) {
            assert_eq!(message(body), Ok(request));
        }
    }
    if let Ok(response) = message::<Response<'_>>(body) {
        let again = reread(&frame(seq, &response));
        if let Ok((_, body)) = split(&again) {
            assert_eq!(message(body), Ok(response));
        }
    }
}
