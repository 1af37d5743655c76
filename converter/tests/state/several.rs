//! Sessions side by side.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use carafe::{Model, Probe, RunError, Session, Step};
use carafe_converter::{Options, convert, twin};

use super::unrolled::{bytes, streaming};

fn blobs() -> [Vec<u8>; 2] {
    [(1, 5), (2, 9)].map(|(frames, seed)| {
        let (graph, samples) = streaming(frames, seed);
        convert(graph, &samples, &Options::default(), &()).unwrap_or_else(|e| panic!("{e}")).blob
    })
}

/// What a model answers to a sequence when nobody else is there.
fn alone(model: Model<'_>, sequence: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut arena, mut state) = (vec![0x77; model.arena_bytes()], vec![0; model.state_bytes()]);
    let mut session = Session::with_state(model, &mut state).unwrap();
    let mut answer = |x: &Vec<u8>| twin::run(&mut session, &mut arena, std::slice::from_ref(x), ()).unwrap().remove(0);
    sequence.iter().map(&mut answer).collect()
}

fn sequence(model: &Model<'_>, steps: usize, seed: u64) -> Vec<Vec<u8>> {
    (0..steps).map(|i| bytes(seed + i as u64, model.input(0).unwrap().bytes)).collect()
}

#[test]
fn two_models_on_one_scratch_take_turns() {
    let blobs = blobs();
    let [a, b] = [&blobs[0], &blobs[1]].map(|b| Model::verify(b, carafe::ops::ALL).unwrap());
    let (xs, ys) = (sequence(&a, 8, 100), sequence(&b, 8, 200));
    let (want_a, want_b) = (alone(a, &xs), alone(b, &ys));
    let mut scratch = vec![0xEE; a.arena_bytes().max(b.arena_bytes())];
    let (mut state_a, mut state_b) = (vec![1; a.state_bytes()], vec![2; b.state_bytes()]);
    let mut one = Session::with_state(a, &mut state_a).unwrap();
    let mut two = Session::with_state(b, &mut state_b).unwrap();
    for i in 0..8 {
        let got = twin::run(&mut one, &mut scratch, &xs[i..=i], ()).unwrap();
        assert_eq!(got[0], want_a[i], "step {i}");
        // The second in pieces, by `step` and `run_while`.
        let mut run = two.start(&mut scratch).unwrap();
        run.set_input(0, &ys[i]).unwrap();
        assert!(matches!(run.step(), Ok(Step::Made(_))));
        let mut steps = 2;
        let paused = run.run_while(|| {
            steps -= 1;
            steps > 0
        });
        assert_eq!((paused, run.steps()), (Ok(false), 2));
        assert_eq!(run.run_while(|| true), Ok(true));
        assert_eq!(run.step(), Ok(Step::Done));
        assert_eq!(run.output(0).unwrap(), want_b[i], "step {i}");
    }
    one.reset_state();
    let got = twin::run(&mut one, &mut scratch, &xs[..1], ()).unwrap();
    assert_eq!(got[0], want_a[0], "as at the beginning");
    let got = twin::run(&mut two, &mut scratch, &ys[..1], ()).unwrap();
    assert_ne!(got[0], want_b[0], "the state of one is not that of the other");
}

#[test]
fn a_state_can_be_left_and_taken_up_again() {
    let blobs = blobs();
    let model = Model::verify(&blobs[0], carafe::ops::ALL).unwrap();
    let xs = sequence(&model, 6, 300);
    let want = alone(model, &xs);
    let (mut arena, mut state) = (vec![0; model.arena_bytes()], vec![0; model.state_bytes()]);
    Session::with_state(model, &mut state).unwrap().reset_state();
    for (x, want) in xs.iter().zip(&want) {
        let mut session = Session::resume(model, &mut state).unwrap();
        let got = twin::run(&mut session, &mut arena, std::slice::from_ref(x), ()).unwrap();
        assert_eq!(&got[0], want);
    }
}

/// Notes who makes a step.
struct Who<'a>(char, &'a RefCell<String>);

impl Probe for Who<'_> {
    fn end(&mut self, _: carafe::NodeId) {
        self.1.borrow_mut().push(self.0);
    }
}

/// An executor for two tasks: polls them in turn until both are done.
fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut made_a, mut made_b) = (None, None);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if made_a.is_none()
            && let Poll::Ready(made) = a.as_mut().poll(&mut cx)
        {
            made_a = Some(made);
        }
        if made_b.is_none()
            && let Poll::Ready(made) = b.as_mut().poll(&mut cx)
        {
            made_b = Some(made);
        }
        if let (Some(_), Some(_)) = (&made_a, &made_b) {
            return (made_a.unwrap(), made_b.unwrap());
        }
    }
}

#[test]
fn two_runs_interleave_on_one_executor() {
    let blobs = blobs();
    let [a, b] = [&blobs[0], &blobs[1]].map(|b| Model::verify(b, carafe::ops::ALL).unwrap());
    let (xs, ys) = (sequence(&a, 4, 400), sequence(&b, 4, 500));
    let log = RefCell::new(String::new());
    let task = async |model: Model<'_>, inputs: &[Vec<u8>], name: char| -> Result<Vec<Vec<u8>>, RunError> {
        let (mut arena, mut state) = (vec![0; model.arena_bytes()], vec![0; model.state_bytes()]);
        let mut session = Session::with_state(model, &mut state)?;
        let mut answers = Vec::new();
        for x in inputs {
            let mut run = session.start_with(&mut arena, Who(name, &log))?;
            run.set_input(0, x)?;
            run.run_async().await?;
            answers.push(run.output(0)?.to_vec());
        }
        Ok(answers)
    };
    let (got_a, got_b) = join(task(a, &xs, 'a'), task(b, &ys, 'b'));
    assert_eq!((got_a.unwrap(), got_b.unwrap()), (alone(a, &xs), alone(b, &ys)));
    let log = log.into_inner();
    assert!(log.starts_with("abababab"), "{log}");
}
