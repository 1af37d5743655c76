//! The portable kernels on whole maps in any memory: for devices that are simulated, and for those that lack an op.

use core::ops::Range;

use super::Job;
use crate::arena::{Free, Pieces};
use crate::model::Unresolved;
use crate::node::TensorInfo;
use crate::{Band, Cx, Need, Node, OpCode, Rows, RowsMut};

/// Words begin at multiples of this.
const ALIGN: usize = 4;

/// The next `length` bytes of a memory that is taken up to `*end`; no sum wraps, but the memory may be shorter.
pub fn place(end: &mut usize, length: usize) -> Range<usize> {
    let from = end.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX);
    *end = from.saturating_add(length);
    from..*end
}

impl Need {
    /// Bytes of memory that [`run_node`] needs besides operands and result.
    pub fn work_bytes(&self) -> usize {
        // No scratch: that is the CPU's, and kernels work without.
        self.aux as usize
    }
}

/// Rows of a map without gaps that begins at a byte.
fn pieces(t: &TensorInfo, from: usize, y0: u16, y1: u16) -> Pieces {
    let row = |y: u16| from.saturating_add(usize::from(y).saturating_mul(t.row_stride()));
    let first = if y0 < y1 { row(y0)..row(y1) } else { 0..0 };
    Pieces { first, second: 0..0, y0, split: u16::MAX }
}

/// Makes the result of node `n` of a job, whose operands and result lie as whole maps without gaps at `inputs` and `out`
/// in `memory`; `work` is [`Need::work_bytes`] of memory. An operand that there is not, is nowhere (`0..0`). The bits are
/// those that the CPU makes. Changes of shape and concatenations are copied.
///
/// `None` if the node is none of the job's, if a range has another length than the tensor, or if `out` or `work` overlap
/// each other or an operand.
pub fn run_node(
    job: &Job<'_>,
    n: u16,
    memory: &mut [u8],
    inputs: [Range<usize>; 2],
    out: Range<usize>,
    work: Range<usize>,
) -> Option<()> {
    job.nodes().contains(&n).then_some(())?;
    let done = job.model.visit(n, &mut |node, op, need| {
        let mut node = *node;
        for t in [Some(&mut node.in0), node.in1.as_mut(), Some(&mut node.out)].into_iter().flatten() {
            *t = TensorInfo { pixel_stride: t.c, offset: 0, ..*t };
        }
        run(&node, need, op.eval, memory, &inputs, &out, &work).ok_or(Unresolved::Missing)
    });
    done.ok()
}

fn run(
    node: &Node<'_>,
    need: &Need,
    eval: fn(&mut Cx<'_>, Band) -> Option<()>,
    memory: &mut [u8],
    [in0, in1]: &[Range<usize>; 2],
    out: &Range<usize>,
    work: &Range<usize>,
) -> Option<()> {
    let second = node.in1.map_or(0, |t| t.bytes());
    let lengths = [(in0, node.in0.bytes()), (in1, second), (out, node.out.bytes())];
    lengths.iter().all(|(r, length)| r.len() == *length).then_some(())?;
    let mut end = work.start;
    let aux = place(&mut end, need.aux as usize);
    (end <= work.end).then_some(())?;
    if need.view {
        return copy(node, memory, in0, in1, out);
    }
    let mut step = |band: Band| {
        let rows = |t: &TensorInfo, from: &Range<usize>, k: usize| {
            let window = need.windows.get(k).copied().unwrap_or(crate::Window::SAME);
            let (y0, y1) = match band {
                Band::Produce(..) if need.consumes => (0, 0),
                Band::Produce(y0, y1) => window.rows(y0, y1, t.h),
                Band::Consume(y0, y1) => (y0, y1),
            };
            pieces(t, from.start, y0, y1)
        };
        let t1 = node.in1.as_ref().unwrap_or(&TensorInfo::NONE);
        let (p0, p1) = (rows(&node.in0, in0, 0), rows(t1, in1, 1));
        let (y, p) = match band {
            Band::Produce(y0, y1) => (y0, pieces(&node.out, out.start, y0, y1)),
            Band::Consume(..) => (0, Pieces::default()),
        };
        let mut free = Free::new(0, [&mut *memory, &mut [], &mut []], &[]);
        let to = free.take(p.first)?;
        let aux = free.take(aux.clone())?;
        let free = free.left();
        let mut inputs = [Rows::default(); 2];
        let [first, second] = &mut inputs;
        first.lend(&free, &p0, &node.in0)?;
        second.lend(&free, &p1, t1)?;
        eval(&mut Cx { node, inputs, out: RowsMut::new(to, y, &node.out), in_place: None, scratch: &mut [], aux }, band)
    };
    if need.consumes {
        step(Band::Consume(0, node.in0.h))?;
    }
    // In bands as planned.
    let band = u16::from(node.header.band.max(1));
    for y0 in (0..node.out.h).step_by(usize::from(band)) {
        step(Band::Produce(y0, y0.saturating_add(band).min(node.out.h)))?;
    }
    Some(())
}

/// The result of a view, as a map of its own.
fn copy(node: &Node<'_>, memory: &mut [u8], in0: &Range<usize>, in1: &Range<usize>, out: &Range<usize>) -> Option<()> {
    let mut free = Free::new(0, [memory, &mut [], &mut []], &[]);
    let to = free.take(out.clone())?;
    let free = free.left();
    let a = free.read(in0.clone())?;
    let (mut to, mut a) = (to.iter_mut(), a.iter());
    if node.header.op == OpCode::Reshape.0 {
        to.zip(a).for_each(|(to, from)| *to = *from);
        return Some(());
    }
    let mut b = free.read(in1.clone())?.iter();
    // Pixel by pixel. (Zipped chunks would bring in a division by their length.)
    while a.len() > 0 {
        for (from, channels) in [(&mut a, node.in0.c), (&mut b, node.in1?.c)] {
            for _ in 0..channels {
                *to.next()? = *from.next()?;
            }
        }
    }
    Some(())
}
