//! The run of forged blobs that the verifier accepts, in hostile hands.
//!
//! The bytes are a recipe, so that a fuzzer need not find the checks' way through a whole blob: which of
//! [`forge::BASES`], how it is used ([`usage::Usage`]), and then edits of six bytes each.

mod device;
pub mod forge;
pub mod usage;

use carafe::{BlobError, Memory, Model, RunError, Session};
use carafe_converter::split::split;

use crate::Bytes;
use forge::{Forged, forge};
use usage::{Answer, Detour, Flow, Usage, answers, rows};

/// What became of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The blob would take too long, or too much memory.
    Large,
    /// The runs ended in an error.
    Stopped,
    /// The runs came to their end.
    Complete,
}

/// What came of a recipe.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// How the runs ended.
    pub end: End,
    /// Groups of edits that were tried.
    pub tried: u32,
    /// Those that the verifier accepted.
    pub kept: u32,
}

/// Runs of the forged blob end, write nothing outside their memory, and answer the same whichever way they are driven.
pub fn check(data: &[u8]) -> Report {
    let mut bytes = Bytes::new(data);
    let base = forge::BASES[bytes.below(forge::BASES.len())];
    let usage = Usage::read(&mut bytes);
    let Forged { blob, tried, kept } = forge(base, &mut bytes);
    let end = use_it(&blob, &usage, kept == 0);
    Report { end, tried, kept }
}

/// More than any of the bases has.
const REGION: usize = 1 << 16;

fn is_small(model: &Model<'_>) -> bool {
    let needs = || (0..model.nodes()).filter_map(|n| model.need(n));
    let macs: u64 = needs().map(|n| u64::from(n.macs)).sum();
    let tensors = 0..model.nodes() + model.inputs() as u16;
    let elements: usize = tensors.filter_map(|t| model.tensor(t)).map(|t| t.bytes()).sum();
    let regions = [model.arena_bytes(), model.fast_bytes(), model.state_bytes()];
    macs <= 100_000 && elements <= 20_000 && rows(model) <= 1_500 && regions.iter().all(|&bytes| bytes <= REGION)
}

fn use_it(blob: &[u8], usage: &Usage, honest: bool) -> End {
    let model = Model::verify(blob, carafe::ops::ALL).expect("accepted once");
    let again = Model::verify(blob, carafe::ops::ALL).expect("accepted twice");
    for n in 0..model.nodes() {
        let need = model.need(n);
        assert!(need.is_some(), "node {n} was proven");
        assert_eq!(need, again.need(n));
    }
    let _ = (model.strings().count(), model.golden(), model.scale(0), model.preprocess());
    memory_too_small(model);
    if !is_small(&model) {
        return End::Large;
    }
    let want = answers(model, usage, Flow::Run);
    // One of these at a time: a fuzzer lives on speed.
    match usage.detour {
        Detour::Flow(flow) => assert_eq!(answers(again, usage, flow), want, "{flow:?}"),
        Detour::Politely => {
            let is = |answer: &Answer| (answer.end, answer.outputs.clone());
            let politely = answers(again, &usage.politely(), Flow::Run);
            assert!(politely.iter().map(is).eq(want.iter().map(is)), "{politely:?}, {want:?}");
        }
        Detour::WeightsApart => weights_apart(blob, model, usage, &want),
        Detour::Device => device::check(model, usage, honest),
    }
    let complete = want.iter().all(|answer| answer.end.is_ok());
    assert!(complete || !honest, "{want:?}");
    if complete { End::Complete } else { End::Stopped }
}

/// One byte less than the model says, in each region, is an error that says what is lacking.
fn memory_too_small(model: Model<'_>) {
    let (need, fast, state) = (model.arena_bytes(), model.fast_bytes(), model.state_bytes());
    let mut room = vec![0; REGION];
    if let Some(room) = room.get_mut(..need - 1) {
        let error = Session::new(model).start(room).err();
        assert_eq!(error, Some(RunError::ArenaTooSmall { need, have: need - 1 }));
    }
    let region_too_small = |region, need| Some(RunError::RegionTooSmall { region, need, have: need - 1 });
    if state > 0
        && let Some(room) = room.get_mut(..state - 1)
    {
        assert_eq!(Session::with_state(model, room).err(), region_too_small(2, state));
    }
    if fast > 0 && fast <= REGION && need <= REGION {
        let mut short = vec![0; fast - 1];
        let memory = Memory { main: &mut room, fast: &mut short };
        assert_eq!(Session::new(model).start_in(memory, ()).err(), region_too_small(1, fast));
    }
}

/// The same blob with its weights in another file answers the same, and not with less than all of them.
fn weights_apart(blob: &[u8], model: Model<'_>, usage: &Usage, want: &[Answer]) {
    let Ok((head, weights)) = split(blob) else { return };
    let apart = Model::verify_split(&head, &weights, carafe::ops::ALL).expect("the two belong together");
    assert_eq!(apart.weights_bytes(), model.weights_bytes());
    assert_eq!(answers(apart, usage, Flow::Run), want, "weights apart");
    if let Some((_, short)) = weights.split_last() {
        let have = short.len() as u32;
        let error = Model::verify_split(&head, short, carafe::ops::ALL).err();
        assert_eq!(error, Some(BlobError::WeightsTooShort { need: have + 1, have }));
    }
}
