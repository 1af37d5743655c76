//! Power fails at every single step of every sequence, and once more while the device recovers: it always starts with a
//! model that was entered in full.

mod sim;

use carafe_slots::{Reason, Slot, Slots, SlotsError, State};
use proptest::prelude::*;
use sim::{Device, Flash, SECTOR, Step, Tear, model};

/// What is done, as a list of steps; the device has at least one confirmed model once the first `Confirm` is through.
const SEQUENCES: &[(&str, &[Step])] = &[
    ("install over empty", &[Step::Install(1), Step::Start, Step::Confirm]),
    ("update", &[Step::Install(1), Step::Start, Step::Confirm, Step::Install(2), Step::Start, Step::Confirm]),
    (
        "failed trials",
        &[
            Step::Install(1),
            Step::Start,
            Step::Confirm,
            Step::Install(2),
            Step::Start,
            Step::Start,
            Step::Start,
            Step::Start,
            Step::Start,
        ],
    ),
    (
        "a trial that fails its check",
        &[Step::Install(1), Step::Start, Step::Confirm, Step::Install(sim::BROKEN), Step::Start, Step::Start],
    ),
    (
        "refused update",
        &[Step::Install(1), Step::Start, Step::Confirm, Step::Damaged(2), Step::Start, Step::Install(3), Step::Start],
    ),
    (
        "rollback",
        &[
            Step::Install(1),
            Step::Start,
            Step::Confirm,
            Step::Install(2),
            Step::Start,
            Step::Confirm,
            Step::Revert,
            Step::Start,
            Step::Install(3),
            Step::Start,
            Step::Confirm,
        ],
    ),
    (
        "updates without an end",
        &[
            Step::Install(1),
            Step::Start,
            Step::Confirm,
            Step::Install(2),
            Step::Start,
            Step::Confirm,
            Step::Install(3),
            Step::Start,
            Step::Confirm,
            Step::Install(4),
            Step::Start,
            Step::Install(5),
            Step::Start,
            Step::Confirm,
        ],
    ),
];

/// One failure at each operation, and for each of these one more at each (or each so many) of the recovery.
fn every_failure<const W: usize>(ecc: bool, every: usize) -> usize {
    let mut tried = 0;
    for (name, steps) in SEQUENCES {
        let mut whole = Device::<W>::new(ecc);
        steps.iter().for_each(|step| whole.step(*step));
        let operations = whole.flash.operations;
        for first in 0..operations {
            for tear in Tear::ALL {
                let mut device = Device::<W>::new(ecc);
                device.flash.fail_after(first, tear);
                steps.iter().take_while(|step| device.alive_after(**step)).count();
                let cut = device.restarted();
                // Without a second failure.
                let mut once = cut.clone();
                once.recover(&format!("{name}, {W} bytes, {tear:?} at {first}"));
                let recovery = once.flash.operations - cut.flash.operations;
                tried += 1;
                for second in (first % every..recovery).step_by(every) {
                    let mut twice = cut.clone();
                    twice.flash.fail_after(cut.flash.operations + second, tear);
                    twice.recover_until_dead();
                    twice.restarted().recover(&format!("{name}, {W} bytes, {tear:?} at {first} and {second} after"));
                    tried += 1;
                }
            }
        }
    }
    tried
}

#[test]
fn power_may_fail_at_any_step() {
    let tried = every_failure::<1>(false, 11)
        + every_failure::<4>(false, 3)
        + every_failure::<8>(false, 1)
        + every_failure::<8>(true, 1)
        + every_failure::<16>(true, 1)
        + every_failure::<32>(true, 1);
    println!("{tried} failures of power");
    assert!(tried > 10_000);
}

/// A device with two confirmed models, the second running.
fn updated<const W: usize>() -> Device<W> {
    let mut device = Device::<W>::new(false);
    for step in [Step::Install(1), Step::Start, Step::Confirm, Step::Install(2), Step::Start, Step::Confirm] {
        device.step(step);
    }
    device
}

#[test]
fn a_sector_is_erased_once_for_a_model_and_never_for_a_mark() {
    let mut device = Device::<8>::new(false);
    device.step(Step::Install(1));
    let sectors = (256 + model(1).len()).div_ceil(SECTOR);
    let erased = |device: &Device<8>| device.flash.erased.iter().map(|n| *n as usize).collect::<Vec<_>>();
    let first = erased(&device);
    assert_eq!(first.iter().sum::<usize>(), sectors);
    assert!(first.iter().all(|n| *n <= 1));
    for step in [Step::Start, Step::Confirm, Step::Start] {
        device.step(step);
    }
    assert_eq!(erased(&device), first);
    for step in [Step::Install(2), Step::Start, Step::Start, Step::Start, Step::Start, Step::Revert] {
        device.step(step);
    }
    let sectors = sectors + (256 + model(2).len()).div_ceil(SECTOR);
    assert_eq!(erased(&device).iter().sum::<usize>(), sectors);
}

#[test]
fn the_old_one_returns_after_three_trials_and_says_why() {
    let mut device = Device::<4>::new(false);
    for step in [Step::Install(1), Step::Start, Step::Confirm, Step::Install(2)] {
        device.step(step);
    }
    for n in 1..=3 {
        device.step(Step::Start);
        assert_eq!((device.running, device.slots().state(Slot::B)), (Some((Slot::B, 2)), State::Trial(n)));
    }
    device.step(Step::Start);
    assert_eq!(device.running, Some((Slot::A, 1)));
    assert_eq!(device.passed, Some((Slot::B, Reason::Trials)));
    assert_eq!(device.slots().state(Slot::B), State::Rejected(Reason::Trials));
}

#[test]
fn one_that_fails_its_check_has_one_trial() {
    let mut device = Device::<4>::new(false);
    for step in [Step::Install(1), Step::Start, Step::Confirm, Step::Install(sim::BROKEN), Step::Start] {
        device.step(step);
    }
    assert_eq!((device.running, device.passed), (Some((Slot::A, 1)), Some((Slot::B, Reason::Golden))));
    // The next one goes where it was, and not over the model that runs.
    device.step(Step::Install(3));
    device.step(Step::Start);
    assert_eq!(device.running, Some((Slot::B, 3)));
}

#[test]
fn a_rotten_model_is_passed_over() {
    let mut device = updated::<4>();
    let at = device.slots().model_offset(Slot::B);
    device.flash.bytes[at as usize + 10] ^= 4;
    device.step(Step::Start);
    assert_eq!((device.running, device.passed), (Some((Slot::A, 1)), Some((Slot::B, Reason::Crc))));
    // And there is nothing to go back to.
    assert_eq!(device.slots().revert(Slot::A), Err(SlotsError::NoOther));
    device.step(Step::Install(3));
    assert_eq!(device.slots().state(Slot::A), State::Good);
}

#[test]
fn going_back_needs_a_model_to_go_back_to() {
    let mut device = Device::<4>::new(false);
    device.step(Step::Install(1));
    device.step(Step::Start);
    assert_eq!(device.slots().revert(Slot::A), Err(SlotsError::NoOther));
    assert_eq!(device.slots().confirm(Slot::B), Err(SlotsError::NoModel));
    let mut device = updated::<4>();
    assert_eq!(device.slots().revert(Slot::B), Ok(()));
    device.step(Step::Start);
    assert_eq!((device.running, device.passed), (Some((Slot::A, 1)), Some((Slot::B, Reason::Reverted))));
}

#[test]
fn lengths_are_held_to() {
    let mut device = Device::<16>::new(true);
    let mut slots = device.slots();
    let most = slots.capacity();
    assert_eq!(slots.begin(most + 1, None).map(|_| ()), Err(SlotsError::TooLarge { have: most }));
    let mut writer = slots.begin(20, None).unwrap();
    slots.write(&mut writer, &[1; 13]).unwrap();
    assert_eq!(slots.write(&mut writer, &[1; 8]), Err(SlotsError::Length));
    assert_eq!(slots.commit(writer, 0), Err(SlotsError::Length));
    // A whole slot.
    let data = (0..most).map(|i| i as u8).collect::<Vec<_>>();
    let mut writer = slots.begin(most, None).unwrap();
    data.chunks(77).for_each(|part| slots.write(&mut writer, part).unwrap());
    let slot = slots.commit(writer, carafe::blob::crc32(&data)).unwrap();
    let mut back = vec![0; data.len()];
    slots.read(slot, &mut back).unwrap();
    assert_eq!(back, data);
}

#[test]
fn slots_lie_on_sectors() {
    let make = |start, bytes| Slots::new(Flash::<4>::new(1024, false), start, bytes).map(|_| ()).err();
    assert_eq!(make(0, 512), None);
    assert_eq!(make(128, 384), None);
    for (start, bytes) in [(0, 640), (512, 512), (100, 384), (0, 500), (0, 256)] {
        assert_eq!(make(start, bytes), Some(SlotsError::Layout), "{start} {bytes}");
    }
}

fn steps() -> impl Strategy<Value = Vec<(Step, Option<(u16, Tear)>)>> {
    let step = prop_oneof![
        (1u8..6).prop_map(Step::Install),
        (1u8..6).prop_map(Step::Damaged),
        Just(Step::Install(sim::BROKEN)),
        Just(Step::Start),
        Just(Step::Start),
        Just(Step::Confirm),
        Just(Step::Confirm),
        Just(Step::Revert),
    ];
    let tear = prop::sample::select(Tear::ALL.to_vec());
    let failure = prop::option::weighted(0.4, (0u16..60, tear));
    prop::collection::vec((step, failure), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done, and wherever power fails: once a model was confirmed, every start has one.
    #[test]
    fn there_is_always_a_model(list in steps(), ecc: bool, word in 0usize..5) {
        match word {
            0 => walk::<1>(&list, false),
            1 => walk::<4>(&list, ecc),
            2 => walk::<8>(&list, ecc),
            3 => walk::<16>(&list, ecc),
            _ => walk::<32>(&list, ecc),
        }
    }
}

fn walk<const W: usize>(list: &[(Step, Option<(u16, Tear)>)], ecc: bool) {
    let mut device = Device::<W>::new(ecc);
    for (step, failure) in list {
        if let Some((after, tear)) = failure {
            device.flash.fail_after(device.flash.operations + usize::from(*after), *tear);
        }
        let alive = device.alive_after(*step);
        device.flash.calm();
        if !alive {
            device = device.restarted();
            device.step(Step::Start);
        }
        device.has_a_model(&format!("{list:?}, {W} bytes"));
    }
}
