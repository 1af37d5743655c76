//! Where the maps of a job lie in the scratchpad.

use core::ops::Range;

use carafe::OpCode;
use carafe::offload::Job;
use heapless::Vec;

/// Pieces of scratchpad that a job may have, working memory included.
const PIECES: usize = 96;

/// Pieces begin at multiples of this.
const ALIGN: usize = 8;

/// A piece of the scratchpad from the node that makes it (operands of the job: from the first) to its last reader.
#[derive(Clone, Debug)]
struct Piece {
    tensor: u16,
    range: Range<usize>,
    last: u16,
    /// It lies where an operand of its node lies.
    alias: bool,
    /// The working memory of node `tensor`, not its result.
    work: bool,
}

/// A placement.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pieces: Vec<Piece, PIECES>,
}

impl Layout {
    /// Places all maps of a job by their lifetimes, each as low as it can. `None` if they do not fit into `room` bytes, or
    /// are too many.
    pub fn of(job: &Job<'_>, room: usize) -> Option<Self> {
        let mut this = Self { pieces: Vec::new() };
        for port in job.inputs() {
            this.add(job, port.tensor, port.range.len(), job.first(), room)?;
        }
        for n in job.nodes() {
            let node = job.node(n)?;
            if node.header.op == OpCode::Reshape.0 {
                // The operand lives on as its result: all pieces there live as long as the longest.
                let range = this.range(node.header.in0)?;
                let last = last_use(job, n);
                for p in this.pieces.iter_mut().filter(|p| !p.work && p.range == range && p.last >= n) {
                    p.last = p.last.max(last);
                }
                this.pieces.push(Piece { tensor: n, range, last, alias: true, work: false }).ok()?;
                continue;
            }
            this.add(job, n, node.out.bytes(), n, room)?;
            let range = this.free(job.need(n)?.work_bytes(), n, room)?;
            this.pieces.push(Piece { tensor: n, range, last: n, alias: false, work: true }).ok()?;
        }
        Some(this)
    }

    fn add(&mut self, job: &Job<'_>, tensor: u16, bytes: usize, now: u16, room: usize) -> Option<()> {
        let range = self.free(bytes, now, room)?;
        let last = last_use(job, tensor);
        self.pieces.push(Piece { tensor, range, last, alias: false, work: false }).ok()
    }

    /// The lowest place for so many bytes beside what is alive at node `now`.
    fn free(&self, bytes: usize, now: u16, room: usize) -> Option<Range<usize>> {
        let alive = || self.pieces.iter().filter(|p| p.last >= now).map(|p| &p.range);
        let fits = |from: &usize| {
            let to = from.saturating_add(bytes);
            to <= room && alive().all(|r| r.end <= *from || to <= r.start)
        };
        let ends = alive().filter_map(|r| r.end.checked_next_multiple_of(ALIGN));
        let from = core::iter::once(0).chain(ends).filter(fits).min()?;
        Some(from..from.saturating_add(bytes))
    }

    /// Where a tensor lies.
    pub fn range(&self, tensor: u16) -> Option<Range<usize>> {
        self.pieces.iter().find(|p| p.tensor == tensor && !p.work).map(|p| p.range.clone())
    }

    /// Where the working memory of a node lies.
    pub fn work(&self, n: u16) -> Option<Range<usize>> {
        self.pieces.iter().find(|p| p.tensor == n && p.work).map(|p| p.range.clone())
    }

    /// True if a node's result lies where its operand does.
    pub fn is_alias(&self, n: u16) -> bool {
        self.pieces.iter().any(|p| p.tensor == n && p.alias)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|p| p.range.end).max().unwrap_or(0)
    }
}

/// The last node that reads a tensor; of what the job leaves, behind the last.
fn last_use(job: &Job<'_>, tensor: u16) -> u16 {
    if job.outputs().iter().any(|p| p.tensor == tensor) {
        return u16::MAX;
    }
    let reads =
        |n: &u16| job.node(*n).is_some_and(|node| node.header.in0 == tensor || node.header.second() == Some(tensor));
    // What nobody reads is made all the same.
    job.nodes().filter(reads).max().unwrap_or(if job.nodes().contains(&tensor) { tensor } else { job.first() })
}
