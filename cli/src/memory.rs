//! What of the arena is alive when, as it is told per op.

use carafe::Model;
use carafe_converter::plan::{Happening, Timeline, TimelineError};

/// The arena over time.
#[derive(Debug)]
pub struct Memory {
    pub timeline: Timeline,
    /// By node: most bytes alive during any of its steps, row counters included. 0 if it has none.
    pub peaks: Vec<u64>,
    /// Steps of an inference.
    pub steps: usize,
    /// By tick: index of the step that is made there, or of the next one where rows are pushed.
    step_of: Vec<usize>,
}

impl Memory {
    /// Index of the step at a tick.
    pub fn step(&self, tick: u32) -> usize {
        self.step_of.get(tick as usize).copied().unwrap_or(0).min(self.steps.saturating_sub(1))
    }
}

/// Follows the plan of a model.
pub fn follow(model: &Model<'_>) -> Result<Memory, TimelineError> {
    let timeline = Timeline::of(model)?;
    let mut peaks = vec![0; usize::from(model.nodes())];
    let mut steps = 0;
    let mut step_of = vec![0];
    for (happening, &alive) in timeline.happenings.iter().zip(timeline.alive.iter().skip(1)) {
        step_of.push(steps);
        if let Happening::Step(n, _) = *happening {
            steps += 1;
            if let Some(peak) = peaks.get_mut(usize::from(n)) {
                *peak = alive.max(*peak);
            }
        }
    }
    Ok(Memory { timeline, peaks, steps, step_of })
}
