//! What real models take for their arena, given whole and pushed, and how long planning takes. Needs the shared assets.

mod common;

use std::time::Instant;

use carafe_converter::plan::{Goal, PlanOptions, plan};
use carafe_converter::write::write;
use carafe_converter::{Options, convert, frontend};
use carafe_graph::Tensor;
use carafe_quantizer::{BiasCorrection, ObserverKind};
use common::assets;

/// A model, the bytes that it may take given whole and pushed if nothing but memory counts, and those if time does, too.
const MODELS: [(&str, [u32; 2], [u32; 2]); 7] = [
    ("resnet8/resnet8.xml", [12_000, 10_900], [30_000, 30_000]),
    ("dscnn_kws/dscnn_kws.xml", [5_300, 5_000], [8_000, 8_000]),
    ("ad/ad.xml", [840, 840], [1_300, 1_300]),
    ("vww/vww.xml", [28_300, 13_800], [46_000, 18_000]),
    ("str_ww/str_ww.xml", [3_800, 3_800], [8_000, 8_000]),
    ("mobilenet_v2/mobilenet_v2.xml", [196_000, 125_000], [360_000, 220_000]),
    ("efficientnet_lite0/efficientnet_lite0_fp16.xml", [196_000, 124_000], [360_000, 220_000]),
];

#[test]
fn arenas_of_real_models() {
    let Some(dir) = assets("arenas of real models") else { return };
    for (file, small, balanced) in MODELS {
        let graph = frontend::load(&dir.join("models").join(file)).unwrap();
        // Memory does not depend on ranges: two made-up samples will do.
        let shape: Vec<usize> = graph.value(graph.inputs[0]).shape.clone();
        let n: usize = shape.iter().product();
        let sample = |k: usize| vec![Tensor::f32(shape.clone(), (0..n).map(|i| wave(i + 7 * k)).collect::<Vec<f32>>())];
        let mut options = Options::default();
        options.quantizer.observer = ObserverKind::MinMax;
        options.quantizer.bias_correction = BiasCorrection::Off;
        options.quantizer.check_samples = 0;
        let c = convert(graph, &[sample(0), sample(1)], &options, &()).unwrap();
        let goals = [(Goal::Size, small), (Goal::Balanced, balanced)];
        let cases = goals.map(|(goal, [whole, pushed])| [(goal, false, whole), (goal, true, pushed)]);
        for (goal, push_rows, most) in cases.into_iter().flatten() {
            let begun = Instant::now();
            let p = plan(&c.lowered, &PlanOptions { push_rows, goal: Some(goal), ..PlanOptions::default() }).unwrap();
            let took = begun.elapsed();
            println!(
                "{file}, {goal:?}, pushed {push_rows}: {} bytes, at least {}, {} segments, {} steps, {} instructions, planned in {took:.0?}",
                p.arena_bytes,
                p.lower_bound,
                p.segments.len(),
                p.steps,
                p.instructions
            );
            p.frontier.iter().for_each(|f| println!("    {} bytes, {} instructions", f.arena_bytes, f.instructions));
            assert!(p.arena_bytes <= most, "{file}, {goal:?}, pushed {push_rows}: {}", p.arena_bytes);
            // It runs: the golden check is made by a run.
            write(&c.lowered, &p, &[], &options.write).unwrap();
        }
    }
}

fn wave(i: usize) -> f32 {
    (i as f32 * 0.37).sin() * 3.0
}
