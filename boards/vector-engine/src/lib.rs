//! A vector engine as chips have them beside their control core: many lanes, a scratchpad of its own, DMA to main
//! memory, microcode. Simulated, on a clock that runs on when the engine is asked, so it needs no hardware and behaves
//! the same every time: what [`carafe::offload`] promises can be tried anywhere, a microcontroller included.
//!
//! A job's operands are brought into the scratchpad, all its nodes run there, with the maps between two nodes placed by
//! their lifetimes, and what it leaves is brought back. The engine bids for what fits its scratchpad and what its
//! microcode can do. Weights are streamed beside the computation and take neither room nor time.
//!
//! ```
//! use carafe::OpCode;
//! use carafe::offload::{BitstreamId, Configure};
//! use carafe_vector_engine::{Config, VectorEngine, image};
//!
//! let mut scratchpad = [0; 32 * 1024];
//! let mut engine = VectorEngine::new(Config::default(), &mut scratchpad);
//! let id = Config::default().microcode;
//! let microcode = image(id, &[OpCode::Conv2d, OpCode::Add]).unwrap();
//! engine.configure(id, &mut microcode.as_slice()).unwrap();
//! assert_eq!(engine.loaded(), Some(id));
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod layout;
mod microcode;

use core::task::Poll;

use carafe::offload::{Accelerator, Bid, BitSource, BitstreamId, Configure, Io, Job, Ticket, run_node};
use layout::Layout;
pub use microcode::{IMAGE_BYTES, OPS, image};
use microcode::{Microcode, load};

/// How large and how fast an engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Multiplications per tick; also elements of a result per tick.
    pub lanes: u32,
    /// Bytes per tick between main memory and scratchpad.
    pub dma_bytes: u32,
    /// Ticks from submission to the first byte.
    pub latency: u32,
    /// Ticks that go by from one poll to the next.
    pub poll_ticks: u32,
    /// The microcode that it runs; with no other it bids.
    pub microcode: BitstreamId,
}

impl Default for Config {
    fn default() -> Self {
        Self { lanes: 16, dma_bytes: 8, latency: 100, poll_ticks: 200, microcode: BitstreamId(1) }
    }
}

/// Why the engine failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineError {
    /// A job is pending.
    Busy,
    /// The job is none that it bid for: too large, or with an op that it lacks.
    Job,
    /// The ticket is of no job that is pending.
    Ticket,
    /// The image is damaged or too large.
    Image,
    /// The image is another than the one named, or not for this engine.
    WrongImage,
}

/// What an engine did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Jobs done.
    pub jobs: u32,
    /// Nodes run.
    pub nodes: u32,
    /// Bytes brought in and back.
    pub dma: u64,
    /// Ticks of the clock.
    pub ticks: u64,
    /// Bytes of scratchpad that the largest job took.
    pub peak: usize,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// So many ticks until DMA starts.
    Start(u32),
    /// Byte of an operand that comes next.
    In(usize, usize),
    /// Node at work, and its ticks to go.
    Node(u16, u32),
    /// Byte of a result that comes next.
    Out(usize, usize),
}

/// The engine.
#[derive(Debug)]
pub struct VectorEngine<'p> {
    config: Config,
    pad: &'p mut [u8],
    microcode: Option<Microcode>,
    pending: Option<(u32, Layout, Phase)>,
    submitted: u32,
    work: Work,
}

/// Ticks for an amount at so much a tick. (`div_ceil` would bring in a panic where the compiler does not see that the
/// rate is not 0.)
fn ticks(amount: usize, rate: u32) -> u32 {
    let (amount, rate) = (u32::try_from(amount).unwrap_or(u32::MAX), rate.max(1));
    let whole = amount.checked_div(rate).unwrap_or(0);
    whole.saturating_add(u32::from(whole.saturating_mul(rate) < amount))
}

impl<'p> VectorEngine<'p> {
    /// An engine without microcode.
    pub fn new(config: Config, scratchpad: &'p mut [u8]) -> Self {
        Self { config, pad: scratchpad, microcode: None, pending: None, submitted: 0, work: Work::default() }
    }

    /// What it did so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// True while a job is pending.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    fn layout(&self, job: &Job<'_>) -> Option<Layout> {
        let microcode = self.microcode.as_ref().filter(|m| m.id == self.config.microcode)?;
        let known = |n: u16| job.node(n).is_some_and(|node| microcode.ops.contains(&node.header.op));
        if job.nodes().all(known) { Layout::of(job, self.pad.len()) } else { None }
    }

    /// Ticks of a node. Changes of shape take none.
    fn node_ticks(&self, job: &Job<'_>, layout: &Layout, n: u16) -> Option<u32> {
        if layout.is_alias(n) {
            return Some(0);
        }
        let (node, need) = (job.node(n)?, job.need(n)?);
        let macs = usize::try_from(need.macs).unwrap_or(usize::MAX);
        Some(ticks(macs, self.config.lanes).saturating_add(ticks(node.out.bytes(), self.config.lanes)))
    }

    fn bid(&self, job: &Job<'_>) -> Option<Bid> {
        let layout = self.layout(job)?;
        let ports = job.inputs().iter().chain(job.outputs());
        let mut sum = ports
            .fold(self.config.latency, |sum, port| sum.saturating_add(ticks(port.range.len(), self.config.dma_bytes)));
        for n in job.nodes() {
            sum = sum.saturating_add(self.node_ticks(job, &layout, n)?);
        }
        Some(Bid { ticks: sum })
    }

    /// Brings bytes of a port in or back, as many as the ticks allow.
    fn transfer(
        &mut self,
        io: &mut Io<'_>,
        layout: &Layout,
        (port, at, back): (usize, usize, bool),
        left: &mut u32,
    ) -> Option<usize> {
        let tensor = if back { io.job().outputs().get(port)?.tensor } else { io.job().inputs().get(port)?.tensor };
        let here = self.pad.get_mut(layout.range(tensor)?)?.get_mut(at..)?;
        let rate = self.config.dma_bytes.max(1);
        let most = usize::try_from(u64::from(*left).saturating_mul(u64::from(rate))).unwrap_or(usize::MAX);
        let n = here.len().min(most);
        // A port that is longer than its tensor would never end.
        (n > 0).then_some(())?;
        if back {
            let there = io.output(port)?.get_mut(at..)?;
            there.iter_mut().zip(here.iter()).take(n).for_each(|(to, from)| *to = *from);
        } else {
            let there = io.input(port)?.get(at..)?;
            here.iter_mut().zip(there).take(n).for_each(|(to, from)| *to = *from);
        }
        *left = left.saturating_sub(ticks(n, rate));
        self.work.dma = self.work.dma.saturating_add(n as u64);
        Some(at.saturating_add(n))
    }

    /// Lets `left` ticks go by. `None` if the job is none that was bid for.
    fn advance(&mut self, io: &mut Io<'_>, layout: &Layout, mut phase: Phase, mut left: u32) -> Option<Option<Phase>> {
        let job = io.job();
        loop {
            phase = match phase {
                Phase::Start(wait) => {
                    let spent = wait.min(left);
                    left = left.saturating_sub(spent);
                    if wait > spent {
                        return Some(Some(Phase::Start(wait.saturating_sub(spent))));
                    } else {
                        Phase::In(0, 0)
                    }
                }
                Phase::In(port, at) => match job.inputs().get(port) {
                    None => Phase::Node(job.first(), self.node_ticks(job, layout, job.first())?),
                    Some(p) if at >= p.range.len() => Phase::In(port.saturating_add(1), 0),
                    Some(_) if left == 0 => return Some(Some(phase)),
                    Some(_) => Phase::In(port, self.transfer(io, layout, (port, at, false), &mut left)?),
                },
                Phase::Node(n, wait) => {
                    let spent = wait.min(left);
                    left = left.saturating_sub(spent);
                    if wait > spent {
                        return Some(Some(Phase::Node(n, wait.saturating_sub(spent))));
                    }
                    self.compute(job, layout, n)?;
                    match n.checked_add(1).filter(|n| job.nodes().contains(n)) {
                        Some(n) => Phase::Node(n, self.node_ticks(job, layout, n)?),
                        None => Phase::Out(0, 0),
                    }
                }
                Phase::Out(port, at) => match job.outputs().get(port) {
                    None => return Some(None),
                    Some(p) if at >= p.range.len() => Phase::Out(port.saturating_add(1), 0),
                    Some(_) if left == 0 => return Some(Some(phase)),
                    Some(_) => Phase::Out(port, self.transfer(io, layout, (port, at, true), &mut left)?),
                },
            };
        }
    }

    /// The result of a node, from scratchpad to scratchpad.
    fn compute(&mut self, job: &Job<'_>, layout: &Layout, n: u16) -> Option<()> {
        self.work.nodes = self.work.nodes.saturating_add(1);
        if layout.is_alias(n) {
            return Some(());
        }
        let h = job.node(n)?.header;
        let second = match h.second() {
            Some(t) => layout.range(t)?,
            None => 0..0,
        };
        run_node(job, n, self.pad, [layout.range(h.in0)?, second], layout.range(n)?, layout.work(n)?)
    }
}

impl Accelerator for VectorEngine<'_> {
    type Error = EngineError;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        self.bid(job).filter(|_| self.pending.is_none())
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, EngineError> {
        if self.pending.is_some() {
            return Err(EngineError::Busy);
        }
        let layout = self.layout(job).ok_or(EngineError::Job)?;
        self.submitted = self.submitted.wrapping_add(1);
        self.work.peak = self.work.peak.max(layout.bytes());
        self.pending = Some((self.submitted, layout, Phase::Start(self.config.latency)));
        Ok(Ticket(self.submitted))
    }

    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), EngineError>> {
        let Some((id, layout, phase)) = self.pending.take() else { return Poll::Ready(Err(EngineError::Ticket)) };
        if id != ticket.0 {
            self.pending = Some((id, layout, phase));
            return Poll::Ready(Err(EngineError::Ticket));
        }
        // Time goes by whatever the numbers say.
        let left = self.config.poll_ticks.max(1);
        self.work.ticks = self.work.ticks.saturating_add(u64::from(left));
        match self.advance(io, &layout, phase, left) {
            Some(Some(phase)) => {
                self.pending = Some((id, layout, phase));
                Poll::Pending
            }
            Some(None) => {
                self.work.jobs = self.work.jobs.saturating_add(1);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(EngineError::Job)),
        }
    }

    fn cancel(&mut self, ticket: Ticket) {
        if self.pending.as_ref().is_some_and(|p| p.0 == ticket.0) {
            self.pending = None;
        }
    }
}

impl Configure for VectorEngine<'_> {
    type Error = EngineError;

    fn configure(&mut self, id: BitstreamId, source: &mut dyn BitSource) -> Result<(), EngineError> {
        // What is at work loses its code.
        self.pending = None;
        self.microcode = None;
        let microcode = load(source).ok_or(EngineError::Image)?;
        if microcode.id != id || id != self.config.microcode {
            return Err(EngineError::WrongImage);
        }
        self.microcode = Some(microcode);
        Ok(())
    }

    fn loaded(&self) -> Option<BitstreamId> {
        self.microcode.as_ref().map(|m| m.id)
    }
}
