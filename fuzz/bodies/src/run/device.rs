//! A run with an accelerator that does not want, fails or hangs.

use carafe::offload::{Auto, BitstreamId, Configure, CpuCost, Fail, Faulty, Tally, Watchdog};
use carafe::{Model, OpCode, RunError, Session, Step};
use carafe_vector_engine::{Config, VectorEngine, image};

use super::usage::{Flow, TURNS, Usage, answers, rows};

const MICROCODE: BitstreamId = BitstreamId(1);

type Outcome = (Result<(), RunError>, Vec<Vec<u8>>, Tally);

/// The run ends, the device is free afterwards, and the same comes of it twice. A blob that the converter made also gets
/// the bits of the CPU.
pub fn check(model: Model<'_>, usage: &Usage, honest: bool) {
    let mut pad = vec![0; usage.scratchpad];
    let config = Config { lanes: 8, dma_bytes: 4, latency: 20, poll_ticks: usage.poll_ticks, microcode: MICROCODE };
    let mut engine = VectorEngine::new(config, &mut pad);
    let mut ops: Vec<OpCode> = carafe::ops::ALL.ops().iter().map(carafe::OpEntry::code).collect();
    ops.sort_unstable();
    ops.dedup();
    let microcode = image(MICROCODE, &ops).expect("so many ops fit an image");
    engine.configure(MICROCODE, &mut microcode.as_slice()).expect("the image is whole");
    let first = infer(model, usage, &mut engine);
    let second = infer(model, usage, &mut engine);
    assert_eq!(first, second);
    if honest {
        for (with, without) in first.iter().zip(answers(model, &usage.straight(), Flow::Run)) {
            assert_eq!((with.0, &with.1), (without.end, &without.outputs), "{:?}", with.2);
        }
    }
}

fn infer(model: Model<'_>, usage: &Usage, engine: &mut VectorEngine<'_>) -> Vec<Outcome> {
    let (need, mut state) = (model.arena_bytes(), vec![0; model.state_bytes()]);
    let mut arena = vec![0xC7; need + 64];
    let mut session = Session::with_state(model, &mut state).expect("there is room");
    let number = u32::from(usage.fails / 4);
    let fail = match usage.fails % 4 {
        0 | 1 => Fail::Never,
        2 => Fail::Submit(number),
        _ => Fail::Poll(number),
    };
    let cost = CpuCost { per_mac: 256 * (number + 1), per_element: 256, per_node: 1000 };
    let jobs = u32::from(model.segments()) + 1;
    let most = 3 * rows(&model) + jobs * (usage.patience + 3);
    let mut outcomes = Vec::new();
    for turn in 0..TURNS {
        let data = usage.data(&model, turn);
        let device = Auto::new(Watchdog::new(Faulty::new(&mut *engine, fail), usage.patience), cost);
        // Two regions of scratch memory are none for this.
        let Ok(mut run) = session.start_on(&mut arena, (), device) else { break };
        let mut at = vec![0; data.len()];
        for (i, data) in data.iter().enumerate() {
            let _ = run.set_input(i, data);
        }
        let mut left = most + data.iter().map(|data| data.len() as u32).sum::<u32>();
        let end = loop {
            assert!(left > 0, "no end after {most} steps and waits");
            left -= 1;
            match run.step() {
                Ok(Step::Done) => break Ok(()),
                Ok(_) => {}
                Err(RunError::NeedsInput { input }) => {
                    let i = usize::from(input);
                    let stride = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
                    let row = data[i].get(at[i]..at[i] + stride);
                    let Some(Ok(())) = row.map(|row| run.push_rows(i, row)) else { break Err(RunError::Input) };
                    at[i] += stride;
                }
                Err(e) => break Err(e),
            }
        };
        let outputs = (0..model.outputs()).map(|i| run.output(i).map(<[u8]>::to_vec).unwrap_or_default());
        outcomes.push((end, outputs.collect(), run.tally()));
        assert!(run.steps() <= model.max_steps() && run.high_water() <= need);
        drop(run);
        assert!(!engine.is_busy(), "a job is left behind");
    }
    assert!(arena[need..].iter().all(|&b| b == 0xC7), "a byte behind the arena was written");
    outcomes
}
