//! Damaged and forged blobs: the verifier refuses them, or they run to their end or to an error. No panic, no hang.

#[allow(dead_code, reason = "shared with the tests of plans, which use all of it")]
#[path = "../plans/model.rs"]
mod model;
mod mutate;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use carafe::arithmetic::{Arithmetic, Tflite};
use carafe::blob::{CRC_FROM, crc32};
use carafe::{BlobError, Model, RunError, Session};
use carafe_converter::plan::{JobRule, PlanOptions, plan, plan_jobs};
use carafe_converter::write::{WriteOptions, write};
use carafe_converter::{Options, convert, frontend};
use carafe_graph::{Activation, PoolKind, UnaryOp};
use model::Random;
use rayon::prelude::*;

/// More memory than any of the blobs needs before it is damaged.
const ARENA: usize = 1 << 16;

/// A blob of a small graph.
fn small(mut m: model::Model, options: &PlanOptions) -> Vec<u8> {
    let (_, lowered) = m.lower();
    let plan = plan(&lowered, options).unwrap();
    write(&lowered, &plan, &[], &WriteOptions { debug: true, labels: vec!["a".into(), "b".into()] }).unwrap()
}

/// Every op, in rings and as whole maps, pushed and given; and the bundled model.
fn blobs() -> Vec<Vec<u8>> {
    let rings = |push_rows| PlanOptions { push_rows, cuts: Some(vec![]), ..PlanOptions::default() };
    let mut chain = model::Model::new(1);
    let x = chain.input(&[1, 9, 6, 3]);
    let a = chain.conv3(x, 4);
    let b = chain.conv(a, 1, carafe_graph::Conv2d { groups: 0, ..model::plain(1, 1) }, [3, 3]);
    let y = chain.add(a, b, Activation::Relu);
    let y = chain.pool(y, PoolKind::Max, 2, 2, 0);
    let y = chain.mean(y, false);
    let y = chain.dense(y, 3, Activation::None);
    let y = chain.node(carafe_graph::Op::Softmax { axis: 1 }, &[y]);
    chain.output(y);

    let mut joins = model::Model::new(2);
    let x = joins.input(&[1, 8, 5, 2]);
    let z = joins.input(&[1, 8, 5, 3]);
    let a = joins.conv3(x, 3);
    let b = joins.unary(a, UnaryOp::HardSwish);
    let c = joins.pool(z, PoolKind::AverageExcludePad, 3, 1, 1);
    let y = joins.concat(&[a, b, c]);
    let r = joins.reshape(y, &[1, 8, 45, 1]);
    let r = joins.pool(r, PoolKind::AverageIncludePad, 3, 2, 1);
    joins.output(y);
    joins.output(r);
    let f = joins.reshape(a, &[1, 120]);
    let f = joins.dense(f, 2, Activation::Relu);
    joins.output(f);

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits");
    let digits = frontend::load(&folder.join("digits.xml")).unwrap();
    let shape = digits.value(digits.inputs[0]).shape.clone();
    let mut random = Random(3);
    let samples: Vec<_> = (0..4).map(|_| vec![random.tensor(&shape)]).collect();
    let digits = convert(digits, &samples, &Options::default(), &()).unwrap().blob;

    let whole = PlanOptions { cuts: Some((1..40).collect()), ..PlanOptions::default() };
    let again = |seed| {
        let mut m = model::Model::new(seed);
        let x = m.input(&[1, 7, 4, 2]);
        let a = m.conv3(x, 3);
        let v = m.mean(a, true);
        m.output(v);
        let y = m.conv3(a, 2);
        m.output(y);
        m
    };
    vec![
        small(chain, &rings(false)),
        small(joins, &rings(true)),
        small(again(4), &whole),
        small(again(4), &rings(true)),
        digits,
    ]
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Refused(String),
    Stopped(String),
    Complete,
}

/// Verifies a blob, and runs it if it is accepted.
fn attempt(blob: &[u8], arena: &mut [u8]) -> End {
    let model = match Model::verify(blob, carafe::ops::ALL) {
        Ok(model) => model,
        Err(e) => {
            // The message has no path that panics either.
            assert!(!e.to_string().is_empty());
            return End::Refused(name(&e));
        }
    };
    // Everything that a tool reads of a model.
    for n in 0..model.nodes() {
        assert!(model.need(n).is_some(), "node {n} was proven");
    }
    let _ = (model.strings().count(), model.golden(), model.scale(0), model.weights_bytes());
    let mut session = Session::new(model);
    let mut run = match session.start(arena) {
        Ok(run) => run,
        Err(e) => return End::Stopped(format!("{e:?}").split([' ', '{']).next().unwrap_or_default().into()),
    };
    for i in 0..model.inputs() {
        if let Ok(bytes) = run.input(i) {
            bytes.iter_mut().enumerate().for_each(|(k, b)| *b = (k * 37) as u8);
        }
    }
    let row = [7; ARENA];
    let end = loop {
        match run.run() {
            Ok(()) => break End::Complete,
            Err(RunError::NeedsInput { input }) => {
                let t = model.input(usize::from(input)).and_then(|io| model.tensor(io.tensor)).unwrap();
                let pushed = row.get(..t.row_stride()).map(|row| run.push_rows(usize::from(input), row));
                if pushed != Some(Ok(())) {
                    break End::Stopped("Input".into());
                }
            }
            Err(e) => break End::Stopped(format!("{e:?}").split([' ', '{']).next().unwrap_or_default().into()),
        }
    };
    assert!(run.steps() <= model.max_steps(), "{} steps of at most {}", run.steps(), model.max_steps());
    assert!(run.high_water() <= model.arena_bytes());
    for i in 0..model.outputs() {
        let bytes = model.output(i).map(|o| o.bytes);
        let got = run.output(i).unwrap();
        assert_eq!(Some(got.len()), bytes);
    }
    end
}

/// The kind of an error, without its numbers.
fn name(e: &BlobError) -> String {
    match e {
        BlobError::Node { fault, .. } => format!("Node {fault:?}"),
        e => format!("{e:?}").split([' ', '{']).next().unwrap_or_default().into(),
    }
}

/// Writes the checksum that the bytes have.
fn mend(blob: &mut [u8]) {
    if blob.len() > CRC_FROM {
        let length = u32::from_le_bytes([blob[8], blob[9], blob[10], blob[11]]) as usize;
        let crc = blob.get(CRC_FROM..length).map_or(0, crc32);
        blob[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn undamaged_blobs_run() {
    let mut arena = vec![0; ARENA];
    for blob in blobs() {
        assert_eq!(attempt(&blob, &mut arena), End::Complete);
    }
}

/// Cut anywhere, as it is and with length and checksum mended.
#[test]
fn truncated_blobs_are_refused() {
    let mut arena = vec![0; ARENA];
    for blob in &blobs()[..4] {
        for n in 0..blob.len() {
            assert_eq!(attempt(&blob[..n], &mut arena), End::Refused("Truncated".into()), "cut to {n}");
            let mut cut = blob[..n].to_vec();
            if n > CRC_FROM {
                cut[8..12].copy_from_slice(&(n as u32).to_le_bytes());
                mend(&mut cut);
            }
            // What is cut away is at least the end of the constants, which nothing may need (padding).
            if let End::Complete | End::Stopped(_) = attempt(&cut, &mut arena) {
                panic!("a blob cut to {n} of {} bytes is accepted", blob.len());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_damaged_blobs() {
    // `CARAFE_ATTEMPTS`: more, for a long hunt.
    let attempts = std::env::var("CARAFE_ATTEMPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000u64);
    let blobs = blobs();
    let one = |arena: &mut Vec<u8>, seed: u64| {
        let mut random = Random(seed);
        // The bundled model is large and slow; most of its bytes are weights, which may be anything.
        let pick = random.below(50).min(49);
        let which = if pick == 0 { 4 } else { pick % 4 };
        let mut blob = blobs[which].clone();
        for _ in 0..1 + random.below(3) {
            mutate::mutate(&mut blob, &blobs[random.below(4)], &mut random);
        }
        if seed.is_multiple_of(2) {
            mend(&mut blob);
        }
        match catch_unwind(AssertUnwindSafe(|| attempt(&blob, arena))) {
            Ok(end) => end,
            Err(_) => panic!("seed {seed} panics (blob {which})"),
        }
    };
    let fold = |mut counts: BTreeMap<End, u64>, end: End| {
        *counts.entry(end).or_default() += 1;
        counts
    };
    let counts = (0..attempts).into_par_iter().map_init(|| vec![0; ARENA], one).fold(BTreeMap::new, fold).reduce(
        BTreeMap::new,
        |mut a, b| {
            b.into_iter().for_each(|(end, n)| *a.entry(end).or_default() += n);
            a
        },
    );
    println!("{counts:#?}");
    assert_eq!(counts.values().sum::<u64>(), attempts);
    // Damage has to reach every check, and what lies behind all of them.
    let kinds = [
        "Truncated",
        "Magic",
        "Version",
        "Crc",
        "Section",
        "UnknownSection",
        "Arithmetic",
        "Header",
        "Buffer",
        "Tensor",
        "Segment",
        "Io",
        "MissingOp",
        "Node Record",
        "Node Operand",
        "Node Shape",
        "Node Field",
        "Node Constants",
        "Node Placement",
    ];
    for kind in kinds {
        assert!(counts.contains_key(&End::Refused(kind.into())), "no blob was refused for {kind}");
    }
    assert!(counts.get(&End::Stopped("Plan".into())).is_some_and(|&n| n > 100), "hardly a plan was wrong in meaning");
    assert!(counts.get(&End::Complete).is_some_and(|&n| n > 1000), "hardly a blob ran to its end");
}

/// What [`blobs`] do not have: ops that move and multiply, the other arithmetic, small rings that rows are pushed into, a
/// state, a second scratch memory, and cuts for an accelerator.
fn special_blobs() -> [(&'static str, Vec<u8>); 6] {
    let mut moves = model::Model::new(7);
    let x = moves.input(&[1, 8, 6, 2]);
    let a = moves.conv3(x, 3);
    let d = carafe_graph::SpaceToDepth { block: 2, depth_first: false, layout: carafe_graph::Layout::Nhwc };
    let d = moves.node(carafe_graph::Op::SpaceToDepth(d), &[a]);
    let y = moves.slice(d, [(0, 4), (1, 3), (2, 5)]);
    let y = moves.upsample(y, [2, 3]);
    let gate = moves.mean(a, true);
    let product = carafe_graph::Op::Binary { op: carafe_graph::BinaryOp::Mul, activation: Activation::None };
    let gated = moves.node(product.clone(), &[a, gate]);
    let y = moves.node(product, &[gated, y]);
    moves.output(y);
    let moves = small(moves, &PlanOptions::default());

    // The numbers mean something else there, but numbers they are.
    let mut tflite = model::Model::new(8);
    let x = tflite.input(&[1, 5, 4, 2]);
    let a = tflite.conv3(x, 3);
    let b = tflite.conv(a, 1, carafe_graph::Conv2d { groups: 0, ..model::plain(1, 1) }, [3, 3]);
    let y = tflite.add(a, b, Activation::None);
    let y = tflite.pool(y, PoolKind::AverageExcludePad, 2, 1, 0);
    let y = tflite.mean(y, false);
    let y = tflite.dense(y, 3, Activation::None);
    let y = tflite.node(carafe_graph::Op::Softmax { axis: 1 }, &[y]);
    tflite.output(y);
    let (_, mut lowered) = tflite.lower();
    lowered.arithmetic = <Tflite as Arithmetic>::ID;
    let whole = plan(&lowered, &PlanOptions::default()).unwrap();
    let tflite = write(&lowered, &whole, &[], &WriteOptions::default()).unwrap();

    let mut pushed = model::Model::new(9);
    let x = pushed.input(&[1, 12, 4, 2]);
    let z = pushed.input(&[1, 6, 2, 3]);
    let a = pushed.conv3(x, 3);
    let a = pushed.pool(a, PoolKind::Max, 2, 2, 0);
    let b = pushed.conv3(z, 3);
    let y = pushed.add(a, b, Activation::None);
    pushed.output(y);
    let pushed = small(
        pushed,
        &PlanOptions {
            push_rows: true,
            cuts: Some(vec![]),
            bands: Some(vec![1; 4]),
            grow: false,
            ..Default::default()
        },
    );
    let m = Model::verify(&pushed, carafe::ops::ALL).unwrap();
    for i in 0..m.inputs() {
        let ring = m.input(i).and_then(|io| m.tensor(io.tensor)).and_then(|t| m.buffer(t.buffer)).unwrap();
        assert!((1..6).contains(&ring.rows), "{ring:?}");
    }

    let mut streaming = model::Model::new(5);
    let x = streaming.input(&[1, 2, 3, 4]);
    let h = streaming.node(carafe_graph::Op::History { axis: 1, keep: 2 }, &[x]);
    let y = streaming.conv(h, 5, model::plain(1, 0), [3, 3]);
    streaming.output(y);
    let samples: Vec<_> = (0..16).map(|_| vec![streaming.random.tensor(&[1, 2, 3, 4])]).collect();
    let streaming = convert(streaming.graph, &samples, &Options::default(), &()).unwrap().blob;

    let net = || {
        let mut m = model::Model::new(6);
        let x = m.input(&[1, 8, 6, 2]);
        let a = m.conv3(x, 3);
        let [b, c] = [2, 4].map(|channels| {
            let y = m.conv3(a, channels);
            m.conv3(y, 3)
        });
        let y = m.add(b, c, Activation::Relu);
        let y = m.mean(y, false);
        m.output(y);
        m
    };
    let fast = small(net(), &PlanOptions { fast_bytes: Some(100), ..PlanOptions::default() });
    let mut ops: Vec<_> = carafe::ops::ALL.ops().iter().map(carafe::OpEntry::code).collect();
    ops.dedup();
    let rule = JobRule { max_nodes: 2, overlap: true, ..JobRule::new(&ops, 1 << 20) };
    let (_, lowered) = net().lower();
    let plan = plan_jobs(&lowered, &PlanOptions::default(), &rule).unwrap();
    let jobs = write(&lowered, &plan, &[], &WriteOptions::default()).unwrap();
    for (blob, [fast_bytes, state_bytes, segments]) in [(&streaming, [0, 1, 1]), (&fast, [1, 0, 1]), (&jobs, [0, 0, 2])]
    {
        let m = Model::verify(blob, carafe::ops::ALL).unwrap();
        assert_eq!((m.fast_bytes().min(1), m.state_bytes().min(1)), (fast_bytes, state_bytes));
        assert!(usize::from(m.segments()) >= segments);
    }
    [("moves", moves), ("tflite", tflite), ("pushed", pushed), ("streaming", streaming), ("fast", fast), ("jobs", jobs)]
}

/// `cargo test -p carafe-converter --test verifier -- --ignored write_fuzz_seeds`
#[test]
#[ignore = "writes fuzz/seeds/blob"]
fn write_fuzz_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/blob");
    let names = ["chain", "joins_pushed", "whole", "rings_pushed"].into_iter().zip(blobs());
    for (name, blob) in names.chain(special_blobs()) {
        std::fs::write(folder.join(name), blob).unwrap();
    }
}
