//! The device's own crate, run on the host: what it answers here it answers there, to the bit.

use carafe::{Memory, Probe, RunError, Session};

/// Runs one inference: quantized inputs in, quantized outputs out. Inputs that the model takes row by row are pushed
/// as it asks for them.
///
/// # Errors
/// [`RunError::Input`] if an input has another length than the model's.
pub fn run<P: Probe>(
    session: &mut Session<'_>,
    arena: &mut [u8],
    inputs: &[Vec<u8>],
    probe: P,
) -> Result<Vec<Vec<u8>>, RunError> {
    run_in(session, Memory::of(arena), inputs, probe)
}

/// As [`run`], for models that are planned for several regions of memory.
///
/// # Errors
/// As [`run`].
pub fn run_in<P: Probe>(
    session: &mut Session<'_>,
    memory: Memory<'_>,
    inputs: &[Vec<u8>],
    probe: P,
) -> Result<Vec<Vec<u8>>, RunError> {
    let model = *session.model();
    let mut run = session.start_in(memory, probe)?;
    let mut pushed = vec![None; inputs.len()];
    if inputs.len() != model.inputs() {
        return Err(RunError::Input);
    }
    for (i, data) in inputs.iter().enumerate() {
        if run.input(i).is_ok() {
            run.set_input(i, data)?;
        } else {
            pushed[i] = Some(0usize);
        }
    }
    loop {
        match run.run() {
            Ok(()) => break,
            Err(RunError::NeedsInput { input }) => {
                let i = usize::from(input);
                let t = model.input(i).and_then(|io| model.tensor(io.tensor)).ok_or(RunError::Input)?;
                let at = pushed.get_mut(i).and_then(Option::as_mut).ok_or(RunError::Input)?;
                let row = inputs[i].get(*at..*at + t.row_stride()).ok_or(RunError::Input)?;
                run.push_rows(i, row)?;
                *at += t.row_stride();
            }
            Err(e) => return Err(e),
        }
    }
    (0..model.outputs()).map(|i| run.output(i).map(<[u8]>::to_vec)).collect()
}
