//! How fast the host runs a model. The times are wall-clock times of this machine, with whatever else runs on it: other
//! than instructions that an emulator counts, they are another time other ones.

use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use carafe::blob::{crc32, golden_byte};
use carafe::{Memory, Model, NodeId, OpCode, Probe, Rows, Session};

use crate::Error;
use crate::host::{ID, complete, failed, refused};

/// Inferences that are timed at least, however long they take.
const LEAST: usize = 5;

/// How fast a model runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pace {
    /// Inferences per second on one thread: what the median one takes.
    pub one_thread: f64,
    /// As many threads as there are cores for this process.
    pub threads: usize,
    /// Inferences per second of all of them together.
    pub all_threads: f64,
    /// Inferences that were timed on the one thread.
    pub inferences: usize,
    /// By op, in the blob's order.
    pub ops: Vec<OpTime>,
}

/// What an op takes of an inference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpTime {
    /// The median of some inferences on one thread.
    pub nanoseconds: u64,
    /// Bands that it makes or takes.
    pub steps: u64,
}

/// Runs a model on one thread, on one per core, and once more to see its ops: each as long as `budget`, or as a few
/// inferences take. No inference may take longer than `limit`.
///
/// # Errors
/// [`Error::Blob`] and [`Error::Run`] where the model does not verify or run, [`Error::Firmware`] where it computes
/// another result than its golden check says, [`Error::Timeout`].
pub fn measure(blob: &[u8], budget: Duration, limit: Duration) -> Result<Pace, Error> {
    let model = Model::verify(blob, carafe::ops::ALL).map_err(refused)?;
    let feed = Feed::of(&model);
    let mut times = repeat(&model, &feed, budget, limit, |lane| lane.infer(&feed, (), limit))?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let all_threads = together(&model, &feed, threads, budget, limit)?;
    let seen = repeat(&model, &feed, budget / 4, limit, |lane| {
        let mut watch = Watch { begun: None, ops: vec![OpTime::default(); usize::from(model.nodes())] };
        lane.infer(&feed, &mut watch, limit)?;
        Ok(watch.ops)
    })?;
    let op = |i: usize| {
        let mut times: Vec<u64> = seen.iter().map(|ops| ops[i].nanoseconds).collect();
        OpTime { nanoseconds: median(&mut times), steps: seen.first().map_or(0, |ops| ops[i].steps) }
    };
    let ops = (0..usize::from(model.nodes())).map(op).collect();
    let inferences = times.len();
    Ok(Pace { one_thread: 1.0 / median(&mut times).as_secs_f64(), threads, all_threads, inferences, ops })
}

/// The middle one; of an even number the later.
fn median<T: Ord + Copy>(of: &mut [T]) -> T {
    of.sort_unstable();
    of[of.len() / 2]
}

/// What the model is given, and the checksum of what it answers.
struct Feed {
    inputs: Vec<Vec<u8>>,
    crc: Option<u32>,
}

impl Feed {
    /// That of the golden check, if the blob has one.
    fn of(model: &Model<'_>) -> Self {
        let golden = model.golden();
        let mut bytes = (0..).map(|i| golden_byte(golden.map_or(1, |g| g.seed), i));
        let lengths = (0..model.inputs()).filter_map(|i| model.input(i)).map(|io| io.bytes);
        Self { inputs: lengths.map(|n| bytes.by_ref().take(n).collect()).collect(), crc: golden.map(|g| g.crc) }
    }
}

/// What runs a model.
struct Lane<'m> {
    session: Session<'m>,
    arena: Vec<u8>,
    fast: Vec<u8>,
}

impl<'m> Lane<'m> {
    /// One that has made its first inference, which is not timed: caches are warm, and its result is right.
    fn warm(model: &Model<'m>, state: &'m mut [u8], feed: &Feed, limit: Duration) -> Result<Self, Error> {
        let session = Session::with_state(*model, state).map_err(failed)?;
        let mut lane = Self { session, arena: vec![0; model.arena_bytes()], fast: vec![0; model.fast_bytes()] };
        let memory = Memory { main: &mut lane.arena, fast: &mut lane.fast };
        let mut run = lane.session.start_in(memory, ()).map_err(failed)?;
        complete(&mut run, &feed.inputs, limit)?;
        let mut outputs = Vec::new();
        for i in 0..model.outputs() {
            outputs.extend_from_slice(run.output(i).map_err(failed)?);
        }
        match feed.crc {
            Some(want) if want != crc32(&outputs) => {
                let what = format!("CRC {:08x}, not {want:08x}", crc32(&outputs));
                let reason =
                    format!("it computes another result than the converter did ({what}); convert the model again");
                Err(Error::Firmware { board: ID.to_owned(), reason })
            }
            _ => Ok(lane),
        }
    }

    /// The time of an inference, from the input to the result.
    fn infer(&mut self, feed: &Feed, probe: impl Probe, limit: Duration) -> Result<Duration, Error> {
        let memory = Memory { main: &mut self.arena, fast: &mut self.fast };
        let begun = Instant::now();
        let mut run = self.session.start_in(memory, probe).map_err(failed)?;
        complete(&mut run, &feed.inputs, limit)?;
        Ok(begun.elapsed())
    }
}

/// Does something again and again.
fn repeat<R>(
    model: &Model<'_>,
    feed: &Feed,
    budget: Duration,
    limit: Duration,
    mut one: impl FnMut(&mut Lane<'_>) -> Result<R, Error>,
) -> Result<Vec<R>, Error> {
    let mut state = vec![0; model.state_bytes()];
    let mut lane = Lane::warm(model, &mut state, feed, limit)?;
    let mut results = Vec::new();
    let begun = Instant::now();
    while results.len() < LEAST || begun.elapsed() < budget {
        results.push(one(&mut lane)?);
    }
    Ok(results)
}

/// Inferences per second of threads that do not wait for one another.
fn together(model: &Model<'_>, feed: &Feed, threads: usize, budget: Duration, limit: Duration) -> Result<f64, Error> {
    let barrier = Barrier::new(threads);
    let work = || {
        let mut state = vec![0; model.state_bytes()];
        let lane = Lane::warm(model, &mut state, feed, limit);
        // Even one that has failed: the others wait for it.
        barrier.wait();
        let mut lane = lane?;
        let (begun, mut count) = (Instant::now(), 0);
        while count < LEAST || begun.elapsed() < budget {
            lane.infer(feed, (), limit)?;
            count += 1;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let broken = || Error::Firmware { board: ID.to_owned(), reason: "a thread panicked".to_owned() };
        // A thread that panicked is a bug, and its message has been printed.
        all.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(broken()))).sum()
    })
}

/// Times ops.
struct Watch {
    begun: Option<Instant>,
    ops: Vec<OpTime>,
}

impl Probe for Watch {
    fn begin(&mut self, _: NodeId, _: OpCode) {
        self.begun = Some(Instant::now());
    }

    fn rows(&mut self, _: NodeId, _: Range<u16>, _: &Rows<'_>) {}

    fn end(&mut self, node: NodeId) {
        if let (Some(begun), Some(op)) = (self.begun, self.ops.get_mut(usize::from(node.0))) {
            op.nanoseconds += u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            op.steps += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn a_model_is_timed() {
        for sample in [Sample::new(3, 4, 5, 7), Sample::new(3, 4, 5, 7).pushed()] {
            let pace = measure(&sample.blob(), Duration::from_millis(20), Duration::from_secs(10)).unwrap();
            assert!(pace.one_thread > 10.0 && pace.all_threads > 10.0 && pace.inferences >= LEAST, "{pace:?}");
            assert!(pace.threads >= 1);
            assert!(matches!(pace.ops[..], [OpTime { steps: 1.., .. }]), "{pace:?}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let error = measure(&[0; 40], Duration::ZERO, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, Error::Blob { .. }), "{error}");
    }
}
