//! Reshapes.

use carafe_graph::{Graph, Op};

use super::{PassError, rewrite};

/// Lets a Reshape of a Reshape read what the first one reads. What becomes superfluous is removed by others.
pub fn merge_reshapes(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| {
        let is_reshape = |i: usize| matches!(graph.nodes[i].op, Op::Reshape { .. });
        if !is_reshape(i) {
            return Ok(false);
        }
        let Some(before) = uses.producer(graph.nodes[i].inputs[0]).filter(|&p| is_reshape(p)) else {
            return Ok(false);
        };
        graph.nodes[i].inputs = graph.nodes[before].inputs.clone();
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::{remove_dead, testing::*};

    #[test]
    fn a_chain_becomes_one() {
        let mut g = Graph::default();
        let mut y = input(&mut g, [2, 3, 4]);
        for shape in [vec![6, 4], vec![24], vec![4, 6]] {
            y = g.add_node("r", "test", Op::Reshape { shape }, [y]).unwrap();
        }
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, merge_reshapes), 2);
        remove_dead(&mut g).unwrap();
        assert_eq!(g.nodes.len(), 1);
    }
}
