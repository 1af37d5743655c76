//! Graphs as text.

use std::fmt::Write;

use carafe_graph::{Activation, Graph, Op, Pads, UnaryOp, ValueId};

/// A graph as text for people: one line for each input, node and output. A node's line holds its index, kind, name,
/// operands with shapes (constants in angle brackets), output shape and attributes.
pub fn dump(graph: &Graph) -> String {
    let mut text = format!("graph `{}`: {} nodes\n", graph.name, graph.nodes.len());
    let operand = |v: &ValueId| {
        let value = graph.value(*v);
        let (open, close) = if value.constant.is_some() { ("<", ">") } else { ("", "") };
        format!("{open}{} {:?}{close}", short(&value.name), value.shape)
    };
    let mut line = |l: String| {
        text.push_str(l.trim_end());
        text.push('\n');
    };
    graph.inputs.iter().for_each(|v| line(format!("  input  {}", operand(v))));
    for (i, node) in graph.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(operand).collect();
        let outputs: Vec<String> = node.outputs.iter().map(operand).collect();
        let attributes = attributes(&node.op);
        let (kind, name) = (node.op.kind(), short(&node.name));
        line(format!("  {i:4}  {kind} `{name}` ({}) -> {}  {attributes}", inputs.join(", "), outputs.join(", ")));
    }
    graph.outputs.iter().for_each(|v| line(format!("  output {}", operand(v))));
    text
}

/// Converters join the names of fused layers to ones of hundreds of characters; the end tells them apart best.
fn short(name: &str) -> String {
    const MOST: usize = 40;
    match name.char_indices().nth_back(MOST - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &name[at..]),
        _ => name.to_string(),
    }
}

fn attributes(op: &Op) -> String {
    let mut s = String::new();
    let pads = |p: &Pads| {
        if *p == Pads::default() {
            String::new()
        } else {
            format!(" pads={},{},{},{}", p.top, p.left, p.bottom, p.right)
        }
    };
    // Writing to a string does not fail.
    let _ = match op {
        Op::Conv2d(p) => {
            let (strides, dilations) = (p.strides, p.dilations);
            let _ = write!(s, "{:?} strides={strides:?} dilations={dilations:?} groups={}", p.layout, p.groups);
            write!(s, "{}{}", pads(&p.pads), clamp(p.activation))
        }
        Op::Pool2d(p) => {
            let (kernel, strides) = (p.kernel, p.strides);
            write!(s, "{:?} {:?} kernel={kernel:?} strides={strides:?}{}", p.layout, p.kind, pads(&p.pads))
        }
        Op::MatMul { transpose_a, transpose_b } => write!(s, "transpose_a={transpose_a} transpose_b={transpose_b}"),
        Op::Dense { activation } | Op::Binary { activation, .. } => write!(s, "{}", clamp(*activation)),
        Op::Unary(UnaryOp::Relu | UnaryOp::Sigmoid) => Ok(()),
        Op::Unary(u) => write!(s, "{u:?}"),
        Op::Reduce { axes, keep_dims, .. } => write!(s, "axes={axes:?} keep_dims={keep_dims}"),
        Op::Softmax { axis } | Op::Concat { axis } => write!(s, "axis={axis}"),
        Op::History { axis, keep } => write!(s, "axis={axis} keep={keep}"),
        Op::Reshape { .. } => Ok(()),
        Op::Transpose { perm } => write!(s, "perm={perm:?}"),
        Op::Pad { begin, end, value } => write!(s, "begin={begin:?} end={end:?} value={value}"),
        Op::FakeQuantize { levels } => write!(s, "levels={levels}"),
        op => write!(s, "{op:?}"),
    };
    s.trim_start().to_string()
}

fn clamp(activation: Activation) -> String {
    match activation {
        Activation::None => String::new(),
        Activation::Relu => " relu".into(),
        Activation::Clamp(lo, hi) => format!(" clamp={lo}..{hi}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Layout;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(short("name"), "name");
        assert_eq!(short(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(short(&"é".repeat(41)), format!("…{}", "é".repeat(40)));
    }

    #[test]
    fn one_line_a_node() {
        let mut g = Graph { name: "net".into(), ..Graph::default() };
        let x = input(&mut g, [1, 4, 4, 2]);
        let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
        let y = g.add_node("conv", "test", conv(Layout::Nhwc, 1), [x, w]).unwrap();
        let y = g.add_node("add", "test", ADD, [y, y]).unwrap();
        g.outputs = vec![y];
        let expected = "\
graph `net`: 2 nodes
  input  x [1, 4, 4, 2]
     0  Conv2d `conv` (x [1, 4, 4, 2], <w [3, 2, 3, 3]>) -> conv [1, 4, 4, 3]  \
Nhwc strides=[1, 1] dilations=[1, 1] groups=1 pads=1,1,1,1
     1  Add `add` (conv [1, 4, 4, 3], conv [1, 4, 4, 3]) -> add [1, 4, 4, 3]
  output add [1, 4, 4, 3]
";
        assert_eq!(dump(&g), expected);
    }
}
