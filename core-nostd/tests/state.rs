//! Regions of memory, and state that outlives an inference.

use carafe::blob::region;
use carafe::ops::History;
use carafe::{BlobError, Fault, Kernel, Memory, Model, RunError, Session};

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "the tests of kernels use the rest")]
mod support;
use support::{Builder, Place, raw, signed};

/// The last `keep` rows (or columns) of before, and `new` ones; then a copy, so that there is an output.
fn streaming(new: [usize; 3], all: [usize; 3], band: usize, change: impl FnOnce(&mut Builder, &Place)) -> Vec<u8> {
    let mut b = Builder::default();
    let x = b.slice(new, -3, 0, new[2] + 1, 1);
    // An input has no gaps: what has them is made by a node.
    let input = b.alone(new, -3, 0);
    let input = b.input(input);
    let x = b.copy(input, x, 1);
    let state = b.alone(all, -3, 0);
    b.region(&state, region::STATE);
    change(&mut b, &state);
    let history = b.node(History::CODE, vec![], &[x], state, band);
    let out = b.alone(all, -3, 0);
    let out = b.copy(history, out, 1);
    b.output(out);
    b.finish()
}

fn step(session: &mut Session<'_>, arena: &mut [u8], x: &[i8]) -> Vec<i8> {
    let mut run = session.start(arena).unwrap();
    run.set_input(0, &raw(x)).unwrap();
    run.run().unwrap();
    assert_eq!(run.high_water(), run.model().arena_bytes());
    assert_eq!(run.high_water_in(region::STATE), run.model().state_bytes());
    signed(run.output(0).unwrap())
}

#[test]
fn a_history_moves_on_by_what_is_new() {
    for (new, all, band) in [([2, 1, 2], [5, 1, 2], 5), ([1, 2, 2], [1, 5, 2], 1)] {
        let blob = streaming(new, all, band, |_, _| ());
        let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
        let mut arena = vec![0xAA; model.arena_bytes()];
        let mut state = vec![0x55; 10];
        assert_eq!(model.state_bytes(), state.len());
        let mut session = Session::with_state(model, &mut state).unwrap();
        let z = -3;
        assert_eq!(step(&mut session, &mut arena, &[1, 2, 3, 4]), [z, z, z, z, z, z, 1, 2, 3, 4]);
        arena.fill(0x11);
        assert_eq!(step(&mut session, &mut arena, &[5, 6, 7, 8]), [z, z, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(step(&mut session, &mut arena, &[9, 10, 11, 12]), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        session.reset_state();
        assert_eq!(step(&mut session, &mut arena, &[1, 2, 3, 4]), [z, z, z, z, z, z, 1, 2, 3, 4]);
    }
}

#[test]
fn sessions_share_scratch_and_keep_their_state() {
    let blob = streaming([2, 1, 2], [5, 1, 2], 5, |_, _| ());
    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    let alone = |values: [i8; 3]| {
        let (mut arena, mut state) = (vec![0; model.arena_bytes()], vec![0; model.state_bytes()]);
        let mut session = Session::with_state(model, &mut state).unwrap();
        values.map(|v| step(&mut session, &mut arena, &[v; 4]))
    };
    let (mut arena, mut a, mut b) = (vec![0; model.arena_bytes()], vec![1; 10], vec![2; 10]);
    let mut a = Session::with_state(model, &mut a).unwrap();
    let mut b = Session::with_state(model, &mut b).unwrap();
    let both: Vec<(Vec<i8>, Vec<i8>)> = [(1, 11), (2, 12), (3, 13)]
        .map(|(x, y)| (step(&mut a, &mut arena, &[x; 4]), step(&mut b, &mut arena, &[y; 4])))
        .into();
    let (got_a, got_b): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    assert_eq!((got_a, got_b), (alone([1, 2, 3]).to_vec(), alone([11, 12, 13]).to_vec()));
}

#[test]
fn too_little_memory_names_the_region() {
    let blob = streaming([2, 1, 2], [5, 1, 2], 5, |_, _| ());
    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let error = |have| RunError::RegionTooSmall { region: region::STATE, need: 10, have };
    assert_eq!(Session::with_state(model, &mut [0; 9]).err(), Some(error(9)));
    assert_eq!(Session::new(model).start(&mut arena).err(), Some(error(0)));

    let mut b = Builder::default();
    let input = b.alone([2, 2, 2], 0, 0);
    let input = b.input(input);
    let middle = b.alone([2, 2, 2], 0, 0);
    b.region(&middle, region::FAST);
    let middle = b.copy(input, middle, 1);
    let out = b.alone([2, 2, 2], 0, 0);
    let out = b.copy(middle, out, 1);
    b.output(out);
    let blob = b.finish();
    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    assert_eq!((model.fast_bytes(), model.state_bytes()), (8, 0));
    let (mut main, mut fast) = (vec![0; model.arena_bytes()], [0; 8]);
    let mut session = Session::new(model);
    let too_small = |have| RunError::RegionTooSmall { region: region::FAST, need: 8, have };
    assert_eq!(session.start(&mut main).err(), Some(too_small(0)));
    let memory = Memory { main: &mut main, fast: &mut fast[..7] };
    assert_eq!(session.start_in(memory, ()).err(), Some(too_small(7)));
    let mut run = session.start_in(Memory { main: &mut main, fast: &mut fast }, ()).unwrap();
    run.set_input(0, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    run.run().unwrap();
    assert_eq!(run.output(0).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((run.high_water_in(region::FAST), run.high_water_in(7)), (8, 0));
    assert_eq!(fast, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_outlives_an_inference_lies_in_the_state_and_nothing_else_does() {
    let refused = |blob: &[u8]| Model::verify(blob, carafe::ops::ALL).err();
    let misplaced = |node| Some(BlobError::Node { node, fault: Fault::Placement });
    let outside = streaming([2, 1, 2], [5, 1, 2], 5, |b, state| b.region(state, region::MAIN));
    assert_eq!(refused(&outside), misplaced(1));
    assert_eq!(refused(&streaming([2, 1, 2], [5, 1, 2], 4, |_, _| ())), misplaced(1), "in two steps");
    let unknown = streaming([2, 1, 2], [5, 1, 2], 5, |_, _| ());
    assert_eq!(refused(&unknown), None);
    let mut b = Builder::default();
    let input = b.alone([1, 1, 1], 0, 0);
    let input = b.input(input);
    let out = b.alone([1, 1, 1], 0, 0);
    b.region(&out, region::STATE);
    let out = b.copy(input, out, 1);
    b.output(out);
    assert_eq!(refused(&b.finish()), misplaced(0), "a copy is no history");
    for (new, all) in [([5, 1, 2], [5, 1, 2]), ([2, 2, 2], [2, 3, 2]), ([2, 1, 2], [5, 1, 3])] {
        let blob = streaming(new, all, 5, |_, _| ());
        assert_eq!(refused(&blob), Some(BlobError::Node { node: 1, fault: Fault::Shape }), "{new:?} {all:?}");
    }
}
