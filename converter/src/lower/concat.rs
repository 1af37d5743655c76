use carafe::ops::LutRecord;
use carafe::{OpCode, TensorInfo};
use carafe_graph::{Op, ValueId};

use super::{LowerError, LowerNode, Operand, Step, fields};

/// Joins operands along the channels, as a chain of views. An operand that cannot be made in place (because something
/// else fixes where it lies) is copied into the joined tensor first.
pub(super) fn lower(step: &mut Step<'_, '_>, axis: usize) -> Result<(), LowerError> {
    let rank = step.cx.quant.graph.value(step.out()).shape.len();
    if axis + 1 != rank {
        return Err(step.unsupported(format!(
            "joining along axis {axis} has no kernel yet; supported is the last one (channels)"
        )));
    }
    let (y, qy) = (step.info(step.out())?, step.quant(step.out())?);
    let mut parts: Vec<Operand> = Vec::new();
    for i in 0..step.node.inputs.len() {
        let v = step.value(i);
        let operand = step.operand(i)?;
        let q = step.quant(v)?;
        if q != qy {
            let entries: Vec<u8> = (-128..=127i8).map(|x| qy.quantize(q.dequantize(x)) as u8).collect();
            let table = step.cx.consts(&entries, 1);
            let out = TensorInfo { zero_point: y.zero_point, ..step.info(v)? };
            let name = format!("{}/rescale{i}", step.node.name);
            let fields = fields(&LutRecord { table });
            let (op, scale) = (OpCode::Lut, qy.scale());
            parts.push(step.cx.push(LowerNode { name, op, fields, inputs: vec![operand], out, scale, source: None }));
        } else if parts.contains(&operand) || !movable(step, operand) {
            let name = format!("{}/copy{i}", step.node.name);
            parts.push(step.cx.copy(name, operand, qy.scale()));
        } else {
            parts.push(operand);
        }
    }
    let Some((&first, rest)) = parts.split_first() else {
        return Err(step.unsupported("nothing to join"));
    };
    let Some((&last, middle)) = rest.split_last() else {
        let out = step.out();
        step.cx.operands.insert(out, first);
        return Ok(());
    };
    let mut joined = first;
    for (i, &part) in middle.iter().enumerate() {
        let (a, b) = (step.cx.out.info(joined), step.cx.out.info(part));
        let out = TensorInfo { c: a.c + b.c, pixel_stride: a.c + b.c, ..y };
        let name = format!("{}/join{i}", step.node.name);
        let inputs = vec![joined, part];
        let (op, scale) = (OpCode::Concat, qy.scale());
        joined = step.cx.push(LowerNode { name, op, fields: Vec::new(), inputs, out, scale, source: None });
    }
    step.finish(OpCode::Concat, Vec::new(), vec![joined, last])?;
    Ok(())
}

/// True if an operand may be made as a slice of the joined tensor: a node makes it, nothing else decides where it
/// lies, and no other part is computed from it (a step cannot read and write the same rows).
fn movable(step: &Step<'_, '_>, operand: Operand) -> bool {
    let Operand::Node(n) = operand else { return false };
    let cx = &step.cx;
    if matches!(cx.out.nodes[n].op, OpCode::Concat | OpCode::Reshape | OpCode::History) {
        return false;
    }
    // A change of shape that the device does not see gives one operand several values.
    let is = |v: &ValueId, o: Operand| cx.operands.get(v) == Some(&o);
    let values = || cx.operands.iter().filter(|(_, o)| **o == operand).map(|(v, _)| v);
    let parts = &step.node.inputs;
    if parts.iter().filter(|v| is(v, operand)).count() > 1 || values().any(|v| cx.quant.graph.outputs.contains(v)) {
        return false;
    }
    let fixes_place = |op: &Op| matches!(op, Op::Concat { .. } | Op::Reshape { .. });
    let makes_a_part = |v: &ValueId| cx.operands.get(v).is_some_and(|&o| parts.iter().any(|p| is(p, o)));
    values().flat_map(|v| &cx.users[v.0]).all(|u| {
        let node = &cx.quant.graph.nodes[u.0];
        let renames = node.outputs.iter().any(|v| is(v, operand));
        *u == step.id || renames || (!fixes_place(&node.op) && !node.outputs.iter().any(makes_a_part))
    })
}
