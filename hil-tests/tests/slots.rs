//! Models in flash, on a board in a thread and on an emulated one: whatever goes wrong with a new model, the old one runs.

mod common;

use carafe_hil::protocol::{
    BlobFault, CRC, Fault, MAX_DATA, Observe, Passed, Request, Response, SlotReason, SlotState, Slots,
};
use carafe_hil::sample::Sample;
use carafe_hil::{Client, Error, Qemu, QemuOptions, Transport, firmware};
use carafe_slots::{Key, Trailer};
use common::{LIMIT, Noise, board_with_flash, fault};
use ed25519_dalek::{Signer, SigningKey};

const BOARD: &str = "qemu-mps2-an386";
/// Models that are told apart by what they add.
const OLD: Sample = Sample::new(9, 40, 3, 5);
const NEW: Sample = Sample::new(9, 40, 3, 77);

/// An emulated board, or `None` where there is no emulator; anything else that is wrong is a failure.
fn start(test: &str, options: QemuOptions) -> Option<Qemu> {
    match Qemu::start(BOARD, options) {
        Ok(qemu) => Some(qemu),
        Err(error) if error.is_unavailable() => {
            println!("skipped: {test}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn flash<T: Transport>(client: &mut Client<T>, file: &[u8]) -> Result<Slots, Fault> {
    client.flash(file, &mut |_, _| ()).map_err(|error| match error {
        Error::Refused { fault, .. } => fault,
        other => panic!("{other}"),
    })
}

/// The model that runs gives the bits of this one.
fn runs<T: Transport>(client: &mut Client<T>, sample: Sample) {
    let input = Noise(3).bytes(sample.bytes());
    client.set_input(0, &input).unwrap();
    client.run(Observe::Nothing, LIMIT).unwrap();
    assert_eq!(client.output(0, sample.bytes()).unwrap(), sample.expected(&input));
}

fn state(slots: &Slots) -> (Option<u8>, [SlotState; 2]) {
    (slots.running, slots.slots.map(|slot| slot.state))
}

/// Flashes, tries and confirms a model.
fn install<T: Transport>(client: &mut Client<T>, file: &[u8]) -> Slots {
    let slots = flash(client, file).unwrap();
    let at = slots.slots.iter().position(|slot| slot.state == SlotState::Trial(0)).unwrap();
    client.restart().unwrap();
    let slots = client.slots().unwrap();
    assert_eq!((slots.running, slots.slots[at].state), (Some(at as u8), SlotState::Trial(1)));
    let slots = client.confirm().unwrap();
    assert_eq!(slots.slots[at].state, SlotState::Good);
    slots
}

/// The beginning of an upload that is never finished.
fn half<T: Transport>(client: &mut Client<T>, file: &[u8]) {
    let done = |response: Response<'_>| (response == Response::Done).then_some(());
    let begin = Request::FlashBegin { len: file.len() as u32, crc: CRC.checksum(file) };
    client.call("half an upload", &begin, LIMIT, done).unwrap();
    let data = &file[..(file.len() / 2).min(MAX_DATA)];
    client.call("half an upload", &Request::FlashChunk { offset: 0, data }, LIMIT, done).unwrap();
}

/// All that can go wrong with a new model leaves the old one running, now and after the next start.
fn keeps_the_old_one<T: Transport>(client: &mut Client<T>) {
    assert_eq!(fault(client, &Request::Confirm), Fault::NotFromSlot);
    let before = install(client, &OLD.golden_blob(true));
    runs(client, OLD);
    let check = |client: &mut Client<T>, what: &str| {
        for restart in [false, true] {
            if restart {
                client.restart().unwrap();
            }
            let now = client.slots().unwrap();
            assert_eq!((now.running, now.slots[0]), (before.running, before.slots[0]), "{what}");
            assert_eq!(now.slots[1].state, SlotState::Empty, "{what}");
            runs(client, OLD);
        }
    };
    let file = NEW.golden_blob(true);
    let len = file.len() as u32;

    half(client, &file);
    assert_eq!(
        fault(client, &Request::FlashEnd),
        Fault::Incomplete { have: (file.len() / 2).min(MAX_DATA) as u32, need: len }
    );
    assert_eq!(fault(client, &Request::FlashEnd), Fault::NoTransfer);
    check(client, "truncated");

    half(client, &file);
    check(client, "restart in the middle");
    assert_eq!(fault(client, &Request::FlashChunk { offset: 0, data: &file[..4] }), Fault::NoTransfer);

    half(client, &file);
    let expected = (file.len() / 2).min(MAX_DATA) as u32;
    assert_eq!(fault(client, &Request::FlashChunk { offset: 0, data: &[1] }), Fault::ChunkOrder { expected });
    let missing = len - expected;
    let long = vec![0; missing as usize + 1];
    let chunk = Request::FlashChunk { offset: expected, data: &long };
    assert_eq!(fault(client, &chunk), Fault::ChunkTooLong { missing });
    check(client, "chunks out of order");

    let most = before.model_bytes;
    let begin = |len| Request::FlashBegin { len, crc: 0 };
    assert!(matches!(fault(client, &begin(most + 1)), Fault::ModelTooBig { have } if have <= most));
    assert!(matches!(fault(client, &begin(u32::MAX)), Fault::ModelTooBig { .. }));
    check(client, "oversize");

    // Something changes on the way, and no frame notices.
    let done = |response: Response<'_>| (response == Response::Done).then_some(());
    client.call("garbage", &Request::FlashBegin { len, crc: CRC.checksum(&file) }, LIMIT, done).unwrap();
    let mut garbage = file.clone();
    garbage[400..440].copy_from_slice(&Noise(9).bytes(40));
    for (i, data) in garbage.chunks(MAX_DATA).enumerate() {
        client.call("garbage", &Request::FlashChunk { offset: (i * MAX_DATA) as u32, data }, LIMIT, done).unwrap();
    }
    assert_eq!(fault(client, &Request::FlashEnd), Fault::TransferCrc);
    check(client, "garbage");

    // It was damaged before it came here.
    assert_eq!(flash(client, &garbage), Err(Fault::Blob(BlobFault::Crc)));
    check(client, "damaged");
    assert_eq!(flash(client, b"no model at all, not even a header of one"), Err(Fault::Blob(BlobFault::Truncated)));
    check(client, "no model");
    assert_eq!(flash(client, &NEW.golden_blob(false)), Err(Fault::Golden));
    check(client, "golden check fails");
    assert_eq!(flash(client, &NEW.blob()), Err(Fault::NoGolden));
    check(client, "no golden check");
    // Two bytes an element, and more of them than there is memory.
    let huge = Sample::new(2000, 40, 60, 1).golden_blob(true);
    assert!(matches!(flash(client, &huge), Err(Fault::ArenaTooSmall { .. })));
    check(client, "arena too small");
}

/// A new model takes over, fails, comes back, and gives way.
fn takes_turns<T: Transport>(client: &mut Client<T>) {
    let (old, new) = (OLD.golden_blob(true), NEW.pushed().golden_blob(true));
    install(client, &old);
    let slots = flash(client, &new).unwrap();
    assert_eq!(state(&slots), (Some(0), [SlotState::Good, SlotState::Trial(0)]));
    runs(client, OLD);
    for n in 1..=3 {
        client.restart().unwrap();
        assert_eq!(state(&client.slots().unwrap()), (Some(1), [SlotState::Good, SlotState::Trial(n)]));
        runs(client, NEW);
    }
    client.restart().unwrap();
    let slots = client.slots().unwrap();
    assert_eq!(state(&slots), (Some(0), [SlotState::Good, SlotState::Rejected(SlotReason::Trials)]));
    assert_eq!(slots.passed, Some(Passed { slot: 1, why: SlotReason::Trials }));
    runs(client, OLD);

    // Noise on the line in the middle: frames are sent again, and the model arrives.
    half(client, &new);
    client.transport().send(&Noise(8).bytes(300)).unwrap();
    let slots = install(client, &new);
    assert_eq!(state(&slots), (Some(1), [SlotState::Good; 2]));
    runs(client, NEW);

    let slots = client.revert().unwrap();
    assert_eq!(slots.slots[1].state, SlotState::Rejected(SlotReason::Reverted));
    assert_eq!(fault(client, &Request::Confirm), Fault::NotFromSlot);
    client.restart().unwrap();
    assert_eq!(client.slots().unwrap().running, Some(0));
    runs(client, OLD);
    assert_eq!(fault(client, &Request::Revert), Fault::NothingToRevertTo);

    // A model over the wire is there until the next start, and is none of flash.
    client.load(&NEW.blob()).unwrap();
    assert_eq!(client.slots().unwrap().running, None);
    assert_eq!(fault(client, &Request::Confirm), Fault::NotFromSlot);
    runs(client, NEW);
    client.reset().unwrap();
    client.restart().unwrap();
    runs(client, OLD);
}

fn pair() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn sign(pair: &SigningKey, blob: &[u8]) -> Vec<u8> {
    let id = Key::new(pair.verifying_key().to_bytes()).id();
    [blob, &Trailer { key: id, signature: pair.sign(blob).to_bytes() }.bytes()].concat()
}

/// Only what the key has signed is taken.
fn wants_a_signature<T: Transport>(client: &mut Client<T>) {
    let key = Key::new(pair().verifying_key().to_bytes()).id();
    let old = sign(&pair(), &OLD.golden_blob(true));
    let before = install(client, &old);
    assert_eq!(before.key, Some(key));
    let blob = NEW.golden_blob(true);
    let other = SigningKey::from_bytes(&[43; 32]);
    let signed = Key::new(other.verifying_key().to_bytes()).id();
    let mut altered = sign(&pair(), &blob);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    // Another model with the signature of this one.
    let swapped = [&NEW.golden_blob(false)[..], &sign(&pair(), &blob)[blob.len()..]].concat();
    let files = [
        (blob.clone(), Fault::Unsigned { key }),
        (sign(&other, &blob), Fault::OtherKey { key, signed }),
        (altered, Fault::Signature),
        (swapped, Fault::Signature),
    ];
    for (file, why) in files {
        assert_eq!(flash(client, &file), Err(why));
        assert!(matches!(client.load(&file), Err(Error::Refused { fault, .. }) if fault == why));
        client.restart().unwrap();
        assert_eq!(client.slots().unwrap().slots[0], before.slots[0]);
        runs(client, OLD);
    }
    install(client, &sign(&pair(), &blob));
    runs(client, NEW);
}

fn loopback(key: Option<Key>) -> Client<common::HostEnd> {
    let mut client = Client::new("loopback", board_with_flash(key).0);
    client.hello(LIMIT).unwrap();
    client
}

#[test]
fn a_board_keeps_the_old_one() {
    keeps_the_old_one(&mut loopback(None));
}

#[test]
fn models_take_turns_on_a_board() {
    takes_turns(&mut loopback(None));
}

#[test]
fn a_board_wants_a_signature() {
    wants_a_signature(&mut loopback(Some(Key::new(pair().verifying_key().to_bytes()))));
}

#[test]
fn a_board_without_flash_says_so() {
    let mut client = common::client(common::ROOMY);
    for request in [Request::GetSlots, Request::Confirm, Request::Revert, Request::FlashEnd] {
        assert_eq!(fault(&mut client, &request), Fault::NoSlots);
    }
    assert_eq!(fault(&mut client, &Request::FlashBegin { len: 1, crc: 0 }), Fault::NoSlots);
}

#[test]
fn an_emulated_board_keeps_the_old_one() {
    let Some(mut qemu) = start("faults", QemuOptions::default()) else { return };
    keeps_the_old_one(qemu.client().unwrap());
}

#[test]
fn models_take_turns_on_an_emulated_board() {
    let Some(mut qemu) = start("turns", QemuOptions::default()) else { return };
    takes_turns(qemu.client().unwrap());
}

#[test]
fn an_emulated_board_wants_a_signature() {
    let digits = pair().verifying_key().to_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>();
    let board = carafe_boards::find(BOARD).unwrap();
    if let carafe_boards::Availability::Missing { why_not } = board.availability() {
        println!("skipped: signatures: {why_not}");
        return;
    }
    let mut options = QemuOptions::default();
    options.firmware = Some(firmware::build_signed(board, &digits).unwrap());
    let Some(mut qemu) = start("signatures", options) else { return };
    wants_a_signature(qemu.client().unwrap());
}

/// A failure of power: the emulator is killed in the middle of an upload.
#[test]
fn flash_outlives_the_emulator() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = QemuOptions::default();
    options.flash_image = Some(folder.path().join("flash, of a board.img"));
    let Some(mut qemu) = start("an image of flash", options.clone()) else { return };
    install(qemu.client().unwrap(), &OLD.golden_blob(true));
    for cut in [false, true] {
        half(qemu.client().unwrap(), &NEW.golden_blob(true));
        if cut {
            let client = qemu.client().unwrap();
            flash(client, &NEW.golden_blob(true)).unwrap();
        }
        drop(qemu);
        qemu = start("an image of flash", options.clone()).unwrap();
        let slots = qemu.client().unwrap().slots().unwrap();
        let expected = if cut { (Some(1), SlotState::Trial(1)) } else { (Some(0), SlotState::Empty) };
        assert_eq!((slots.running, slots.slots[1].state), expected);
        runs(qemu.client().unwrap(), if cut { NEW } else { OLD });
    }
}
