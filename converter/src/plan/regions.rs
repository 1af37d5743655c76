//! Which region of memory each block lies in, and where.
//!
//! State is apart from the rest and never shared: no search moves it. Of the rest, what is touched most often per byte goes
//! into the fast memory, as much as fits; everything else into the arena.

use carafe::blob::region;

use super::block::{Block, What, alive};
use super::conflicts::Conflicts;
use super::net::Net;
use super::pack::{ALIGN, Effort, Extent, Packing, pack};
use super::search::Candidate;
use super::storage::tensor;

/// Addresses of blocks, in their order, and the bytes of each region.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub addresses: Vec<u32>,
    pub bytes: [u64; region::COUNT],
    /// Bytes that no packing of the arena goes below.
    pub bound: u64,
}

/// Swaps to try in the packing that is kept, and in those that only say whether something fits.
const SWAPS: (usize, usize) = (1500, 0);

/// Bytes of state.
pub(super) fn state_bytes(net: &Net<'_>) -> u64 {
    let groups = (0..net.storage.groups()).filter(|&g| net.storage.is_state(g, &net.needs));
    groups.fold(0, |at: u64, g| at.next_multiple_of(ALIGN) + net.storage.shape_of(g).bytes)
}

/// Places the blocks of a draft, at most `fast` bytes of the hottest in the fast memory; with patience, or just to see
/// what they take.
pub(super) fn place(net: &Net<'_>, best: &Candidate, fast: u32, patient: bool) -> Placement {
    let blocks = &best.draft.blocks;
    let mut addresses: Vec<u32> =
        best.packing.offsets.iter().map(|&o| region::address(region::MAIN, o as u32)).collect();
    let (mut main, mut bound, mut fast_bytes, mut state) = (best.packing.bytes, best.bound, 0, 0u64);
    let hot = if fast > 0 { hottest(net, blocks, u64::from(fast)) } else { vec![] };
    if !hot.is_empty() {
        let cold: Vec<usize> = (0..blocks.len()).filter(|i| !hot.contains(i)).collect();
        let live: Vec<Block> = cold.iter().map(|&i| blocks[i].clone()).collect();
        let floor = net.floor().next_multiple_of(ALIGN);
        bound = floor + alive(&live, best.draft.length.ticks).into_iter().max().unwrap_or(0);
        let packings = [
            (region::MAIN, pack_some(blocks, &cold, floor, if patient { SWAPS.0 } else { SWAPS.1 }), cold),
            (region::FAST, pack_some(blocks, &hot, 0, SWAPS.1), hot),
        ];
        for (number, packing, list) in &packings {
            for (&i, &offset) in list.iter().zip(&packing.offsets) {
                addresses[i] = region::address(*number, offset as u32);
            }
        }
        (main, fast_bytes) = (packings[0].1.bytes, packings[1].1.bytes);
    }
    for (i, block) in blocks.iter().enumerate() {
        if let What::Group(g) = block.what
            && net.storage.is_state(g, &net.needs)
        {
            let at = state.next_multiple_of(ALIGN);
            addresses[i] = region::address(region::STATE, at as u32);
            state = at + net.storage.shape_of(g).bytes;
        }
    }
    Placement { addresses, bytes: [main, fast_bytes, state], bound }
}

fn pack_some(blocks: &[Block], some: &[usize], floor: u64, swaps: usize) -> Packing {
    let some: Vec<Block> = some.iter().map(|&i| blocks[i].clone()).collect();
    let extents: Vec<Extent> = some.iter().map(Block::extent).collect();
    pack(
        &extents,
        &Conflicts::new(&some),
        floor,
        Effort { strategies: &[], swaps, hint: None, enough: 0, patient: swaps > 0 },
    )
}

/// The blocks for the fast memory, hottest first, each that still fits.
fn hottest(net: &Net<'_>, blocks: &[Block], capacity: u64) -> Vec<usize> {
    let heat: Vec<u64> = blocks.iter().map(|b| heat(net, b)).collect();
    let mut order: Vec<usize> = (0..blocks.len()).filter(|&i| heat[i] > 0 && blocks[i].bytes > 0).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(heat[i]));
    let mut chosen: Vec<usize> = Vec::new();
    for i in order {
        chosen.push(i);
        if pack_some(blocks, &chosen, 0, SWAPS.1).bytes > capacity {
            chosen.pop();
        }
    }
    chosen
}

/// Accesses per 256 bytes, roughly; 0 of what has to stay where it is. A multiplication reads its operand once.
fn heat(net: &Net<'_>, block: &Block) -> u64 {
    let (model, nodes) = (net.model, net.nodes());
    let bytes = |t: usize| if t < nodes { model.nodes[t].out } else { model.inputs[t - nodes].info }.bytes();
    let accesses = match block.what {
        // The inner loops of its kernels work on nothing else as often.
        What::Scratch(..) => return u64::MAX,
        What::Aux(n) => 8 * bytes(tensor(model, model.nodes[n].inputs[0])),
        What::Group(g) => {
            let members = net.storage.members(g);
            // Other masters of the bus (a camera's DMA) may not reach fast memory, and users look into the arena.
            let outside = |&t: &usize| {
                (t >= nodes && block.rows == 0) || model.outputs.iter().any(|(_, o)| tensor(model, *o) == t)
            };
            if members.iter().any(outside) || net.storage.is_state(g, &net.needs) {
                return 0;
            }
            let reads = |&t: &usize| -> usize {
                let read = |&u: &usize| (net.needs[u].macs as usize).max(bytes(t));
                net.storage.users(t).iter().map(read).sum::<usize>() + bytes(t)
            };
            members.iter().map(reads).sum()
        }
    };
    (accesses as u64).saturating_mul(256) / block.bytes.max(1) + 1
}
