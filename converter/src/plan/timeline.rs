//! What of a blob's arena is alive when: the device's own schedule, walked without computing anything.

use carafe::blob::{ScratchRecord, region};
use carafe::schedule::{Counters, Demand, Plan};
use carafe::{Band, Model, Need, TensorInfo};

use super::block::{Life, NEVER, again, touch};
use super::units::Units;
use super::walk::{Event, Memory, Progress, Stuck, walk};

/// No sane plan has more steps; a forged one is not followed further.
const MOST_STEPS: u32 = 10_000_000;

/// The arena over time. Ticks are steps and pushed rows, counted from 1; at tick 0 the user fills the inputs that are
/// there as a whole. What is alive at the last tick can be read afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// By tick, from tick 1.
    pub happenings: Vec<Happening>,
    /// What lives in the arena behind the row counters, in order of buffers and rows.
    pub uses: Vec<Use>,
    /// What lives in other regions of memory, by address.
    pub elsewhere: Vec<Use>,
    /// By tick, from tick 0: bytes alive, row counters included.
    pub alive: Vec<u64>,
    /// Bytes of row counters at the front of the arena.
    pub counter_bytes: u32,
}

/// What happens at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// This node makes or consumes a band.
    Step(u16, Band),
    /// The user gives row `.1` of input `.0`.
    Push(u16, u16),
}

/// What bytes of the arena are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alive {
    /// A row of the tensors of a buffer.
    Rows(u16),
    /// The accumulator of a node.
    Sums(u16),
    /// Scratch of a node.
    Scratch(u16),
}

/// Bytes of the arena from the tick that first needs them to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// What for.
    pub what: Alive,
    /// Which row, if it is one: the first of those that share a life and lie next to each other.
    pub row: u16,
    /// First byte in the arena; elsewhere its address.
    pub offset: u32,
    /// Bytes.
    pub bytes: u32,
    /// First tick.
    pub first: u32,
    /// Last tick; it is alive there too.
    pub last: u32,
}

/// Why a plan cannot be followed. The blob is from another hand than the converter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// A node's demands do not fit the plan.
    #[error("its plan is wrong at node {0}; convert the model again")]
    Malformed(u16),
    /// More steps than the header promises, or than make sense.
    #[error("its plan takes more than {most} steps (at node {node}); convert the model again")]
    Endless {
        /// Steps that were allowed.
        most: u32,
        /// Node that asked for another.
        node: u16,
    },
    /// Rows of an input are asked for that are there.
    #[error("its plan asks for rows of input {0} that are there; convert the model again")]
    Input(u16),
}

/// A blob as a walk sees it.
struct Blob<'a, 'm> {
    model: &'a Model<'m>,
    nodes: Vec<Option<Known>>,
}

struct Known {
    need: Need,
    demand: Demand,
    shares: bool,
    in_place: Option<u8>,
    scratch: Option<ScratchRecord>,
}

impl<'a, 'm> Blob<'a, 'm> {
    fn of(model: &'a Model<'m>) -> Self {
        let known = |n: u16| {
            let (need, demand) = model.need(n).zip(model.demand(n))?;
            let node = model.node(n).ok()?;
            let same = |t: &TensorInfo| {
                (t.buffer, t.offset, t.pixel_stride, t.lead)
                    == (node.out.buffer, node.out.offset, node.out.pixel_stride, node.out.lead)
                    && t.same_shape(&node.out)
            };
            let operands = [Some(node.in0), node.in1];
            let in_place = operands.iter().position(|t| t.as_ref().is_some_and(same)).map(|k| k as u8);
            let shares = in_place.is_none() && node.in1.is_some_and(|t| t.buffer == node.in0.buffer);
            Some(Known { need, demand, shares, in_place, scratch: node.scratch() })
        };
        Self { model, nodes: (0..model.nodes()).map(known).collect() }
    }

    fn known(&self, n: u16) -> Option<&Known> {
        self.nodes.get(usize::from(n))?.as_ref()
    }
}

impl Plan for Blob<'_, '_> {
    fn nodes(&self) -> u16 {
        self.model.nodes()
    }
    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        self.model.segment(index)
    }
    fn is_sink(&self, node: u16) -> bool {
        self.model.is_sink(node)
    }
    fn is_reduction(&self, node: u16) -> bool {
        self.model.is_reduction(node)
    }
    fn demand(&self, node: u16) -> Option<Demand> {
        self.known(node).map(|k| k.demand)
    }
}

impl Memory for Blob<'_, '_> {
    fn need(&self, node: u16) -> Option<Need> {
        self.known(node).map(|k| k.need)
    }
    fn shares(&self, node: u16) -> bool {
        self.known(node).is_some_and(|k| k.shares)
    }
    fn in_place(&self, node: u16) -> Option<u8> {
        self.known(node).and_then(|k| k.in_place)
    }
}

/// The rows of a buffer.
struct Rows {
    units: Units,
    lives: Vec<Life>,
    offset: u32,
    /// Rows of the ring, or 0.
    ring: u16,
    /// Slots of it before that of row 0.
    lead: u8,
}

impl Timeline {
    /// Of a blob.
    ///
    /// # Errors
    /// The plan is wrong in meaning: [`Model::verify`] proves bounds only.
    pub fn of(model: &Model<'_>) -> Result<Self, TimelineError> {
        let nodes = model.nodes();
        let inputs: Vec<u16> = (0..model.inputs()).filter_map(|i| model.input(i)).map(|io| io.tensor).collect();
        let tensors = nodes.saturating_add(inputs.len() as u16);
        let mut buffers: Vec<Rows> = (0..model.buffers()).map(|b| rows_of(model, b, tensors)).collect();
        let mut sums = vec![NEVER; usize::from(nodes)];
        let mut scratch: Vec<[Vec<Life>; 2]> = vec![Default::default(); usize::from(nodes)];

        let mut progress = Progress::new(usize::from(nodes), inputs.len());
        for &t in &inputs {
            let Some(info) = model.tensor(t) else { continue };
            if buffers.get(usize::from(info.buffer)).is_some_and(|b| b.ring == 0) {
                progress.set_progress(t, info.h);
                mark(&mut buffers, &info, 0, info.h, 0);
            }
        }
        let blob = Blob::of(model);
        let most = MOST_STEPS.min(model.max_steps());
        let mut happenings = Vec::new();
        let visit = |tick, event| match event {
            Event::Rows(t, y0, y1) => {
                if let Some(info) = model.tensor(t) {
                    mark(&mut buffers, &info, y0, y1, tick);
                }
            }
            Event::Step(n, band) => {
                happenings.push(Happening::Step(n, band));
                let Some(need) = blob.need(n) else { return };
                if need.aux > 0 {
                    sums.get_mut(usize::from(n)).into_iter().for_each(|life| touch(life, tick));
                }
                let (Band::Produce(y0, _) | Band::Consume(y0, _)) = band;
                if let (Some(lives), Some(known)) = (scratch.get_mut(usize::from(n)), blob.known(n))
                    && let Some(s) = known.scratch
                {
                    let other = ScratchRecord::is_other(y0, known.demand.lead, s.mask);
                    again(&mut lives[usize::from(other)], tick);
                }
            }
            Event::Push(i, y) => happenings.push(Happening::Push(i, y)),
        };
        let length = walk(&blob, progress, most, visit).map_err(|stuck| match stuck {
            Stuck::Malformed(n) => TimelineError::Malformed(n),
            Stuck::Endless(node) => TimelineError::Endless { most, node },
            Stuck::Input(i) => TimelineError::Input(i),
        })?;
        for io in (0..model.outputs()).filter_map(|i| model.output(i)) {
            if let Some(info) = model.tensor(io.tensor) {
                mark(&mut buffers, &info, 0, info.h, length.ticks);
            }
        }

        let mut uses: Vec<Use> = Vec::new();
        for (b, rows) in (0u16..).zip(&buffers) {
            uses.extend(rows.uses(b));
        }
        for (n, &(first, last)) in (0u16..).zip(&sums).filter(|(_, l)| **l != NEVER) {
            let place = model.node(n).ok().and_then(|node| model.buffer(node.header.accumulator()?));
            let need = model.need(n).map_or(0, |n| n.aux);
            uses.extend(place.map(|b| Use {
                what: Alive::Sums(n),
                row: 0,
                offset: b.address(),
                bytes: need,
                first,
                last,
            }));
        }
        for (n, lives) in (0u16..).zip(&scratch) {
            // Views are no steps, and some kernels do without.
            let Some(s) = blob.known(n).and_then(|known| known.scratch) else { continue };
            let what = Alive::Scratch(n);
            for (offset, lives) in [s.offset, s.other].into_iter().zip(lives) {
                uses.extend(lives.iter().map(|&(first, last)| Use {
                    what,
                    row: 0,
                    offset,
                    bytes: s.length,
                    first,
                    last,
                }));
            }
        }
        let (uses, elsewhere): (Vec<Use>, Vec<Use>) = uses.into_iter().partition(|u| u.offset >> region::BITS == 0);
        let counter_bytes = model.counter_bytes() as u32;
        let alive = alive(&uses, length.ticks, counter_bytes);
        Ok(Self { happenings, uses, elsewhere, alive, counter_bytes })
    }

    /// The most bytes alive at a tick, and the first tick where they are: no packing of this schedule takes less.
    pub fn peak(&self) -> (u64, u32) {
        let most = self.alive.iter().copied().max().unwrap_or(0);
        (most, self.alive.iter().position(|&a| a == most).unwrap_or(0) as u32)
    }

    /// The last tick.
    pub fn ticks(&self) -> u32 {
        self.happenings.len() as u32
    }

    /// First and last tick that need anything of a buffer.
    pub fn life(&self, buffer: u16) -> Option<(u32, u32)> {
        let of = || self.uses.iter().chain(&self.elsewhere).filter(|u| u.what == Alive::Rows(buffer));
        Some((of().map(|u| u.first).min()?, of().map(|u| u.last).max()?))
    }
}

fn rows_of(model: &Model<'_>, b: u16, tensors: u16) -> Rows {
    let inside: Vec<TensorInfo> = (0..tensors).filter_map(|t| model.tensor(t)).filter(|t| t.buffer == b).collect();
    let rows = || inside.iter().map(|t| (t.row_stride() as u64, t.h));
    let (offset, length, ring) = model.buffer(b).map_or((0, 0, 0), |b| (b.address(), b.length, b.rows));
    // A ring stands for the whole map that passes through it.
    let bytes = if ring == 0 { length.into() } else { rows().map(|(row, h)| row * u64::from(h)).max().unwrap_or(0) };
    let units = Units::of(bytes, rows());
    let lead = inside.first().map_or(0, |t| t.lead);
    Rows { lives: vec![NEVER; units.len()], units, offset, ring, lead }
}

/// Rows `y0..y1` of a tensor are needed at a tick.
fn mark(buffers: &mut [Rows], t: &TensorInfo, y0: u16, y1: u16, tick: u32) {
    let Some(rows) = buffers.get_mut(usize::from(t.buffer)) else { return };
    let stride = t.row_stride() as u64;
    // In a ring, and between slices of joined pixels, a row is a row.
    let skip = u64::from(t.offset) / stride.max(1) * stride;
    let touched = rows.units.touched(skip + u64::from(y0) * stride..skip + u64::from(y1) * stride);
    rows.lives.get_mut(touched).into_iter().flatten().for_each(|life| touch(life, tick));
}

impl Rows {
    fn uses(&self, buffer: u16) -> Vec<Use> {
        let mut uses: Vec<Use> = Vec::new();
        for (unit, &(first, last)) in self.lives.iter().enumerate().filter(|(_, l)| **l != NEVER) {
            let bytes = self.units.bytes(unit);
            let length = (bytes.end - bytes.start) as u32;
            let at = match usize::from(self.ring) {
                0 => bytes.start,
                ring => ((unit + usize::from(self.lead)) % ring) as u64 * u64::from(length),
            };
            let offset = self.offset.saturating_add(at as u32);
            match uses.last_mut() {
                Some(u) if (u.first, u.last) == (first, last) && u.offset + u.bytes == offset => u.bytes += length,
                _ => uses.push(Use { what: Alive::Rows(buffer), row: unit as u16, offset, bytes: length, first, last }),
            }
        }
        uses
    }
}

fn alive(uses: &[Use], ticks: u32, counters: u32) -> Vec<u64> {
    let mut change = vec![0i64; ticks as usize + 2];
    for u in uses {
        change[u.first as usize] += i64::from(u.bytes);
        change[u.last as usize + 1] -= i64::from(u.bytes);
    }
    let mut now = i64::from(counters);
    let sums = change[..=ticks as usize].iter().map(|c| {
        now += c;
        now as u64
    });
    sums.collect()
}
