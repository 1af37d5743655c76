//! Global average pooling.

use carafe_graph::{Graph, Layout, Op, Pads, PoolKind, ReduceOp};

use super::{PassError, rewrite};

/// Turns an average pool whose only window is the whole map into a mean over rows and columns.
pub fn make_global_pools(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, _| {
        let node = &graph.nodes[i];
        let Op::Pool2d(p) = &node.op else { return Ok(false) };
        let axes = if p.layout == Layout::Nchw { [2, 3] } else { [1, 2] };
        let map = axes.map(|a| graph.value(node.inputs[0]).shape[a]);
        if p.kind == PoolKind::Max || p.kernel != map || p.pads != Pads::default() {
            return Ok(false);
        }
        graph.nodes[i].op = Op::Reduce { op: ReduceOp::Mean, axes: axes.to_vec(), keep_dims: true };
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Pool2d;

    #[test]
    fn only_average_pools_of_the_whole_map_change() {
        let one = Pads { top: 1, ..Pads::default() };
        for (kind, kernel, pads, layout, expected) in [
            (PoolKind::AverageExcludePad, [3, 4], Pads::default(), Layout::Nhwc, 1),
            (PoolKind::AverageIncludePad, [4, 5], Pads::default(), Layout::Nchw, 1),
            (PoolKind::Max, [3, 4], Pads::default(), Layout::Nhwc, 0),
            (PoolKind::AverageExcludePad, [3, 3], Pads::default(), Layout::Nhwc, 0),
            (PoolKind::AverageIncludePad, [3, 4], one, Layout::Nhwc, 0),
        ] {
            let mut g = Graph::default();
            let x = input(&mut g, [1, 3, 4, 5]);
            let op = Op::Pool2d(Pool2d { kind, kernel, strides: [2, 2], pads, layout });
            let y = g.add_node("y", "test", op, [x]).unwrap();
            g.outputs = vec![y];
            assert_eq!(preserved(&mut g, make_global_pools), expected, "{kind:?} {kernel:?} {layout:?}");
        }
    }
}
