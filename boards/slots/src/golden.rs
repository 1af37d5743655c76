use carafe::blob::golden_byte;
use carafe::{Memory, Model, RunError, Session};

use carafe::blob::Crc;

/// Why a model did not pass its golden check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GoldenError {
    /// It has none.
    Missing,
    /// It does not run, for want of memory or else.
    Run(RunError),
    /// A row of an input that is pushed has more bytes than `row`.
    RowTooSmall {
        /// Bytes of the row.
        need: usize,
    },
    /// It runs, and gives other bits than it should.
    Differs,
}

/// Runs a model on the input that belongs to its golden check, and holds the outputs against it.
///
/// `state` is for models that have one; `row` for one row of an input that is taken row by row.
///
/// # Errors
/// See [`GoldenError`].
pub fn golden(model: &Model<'_>, memory: Memory<'_>, state: &mut [u8], row: &mut [u8]) -> Result<(), GoldenError> {
    let golden = model.golden().ok_or(GoldenError::Missing)?;
    let mut session = Session::with_state(*model, state).map_err(GoldenError::Run)?;
    let mut run = session.start_in(memory, ()).map_err(GoldenError::Run)?;
    let (mut base, mut io_base) = (0u32, [0u32; PUSHED]);
    for i in 0..model.inputs() {
        if let Ok(input) = run.input(i) {
            (base..).zip(input.iter_mut()).for_each(|(k, to)| *to = golden_byte(golden.seed, k));
        }
        if let Some(at) = io_base.get_mut(i) {
            *at = base;
        }
        base = base.wrapping_add(model.input(i).map_or(0, |io| io.bytes as u32));
    }
    loop {
        match run.run() {
            Ok(()) => break,
            Err(RunError::NeedsInput { input }) => {
                let i = usize::from(input);
                let tensor = model.input(i).and_then(|io| model.tensor(io.tensor));
                let need = tensor.map_or(0, |t| t.row_stride());
                let room = row.get_mut(..need).ok_or(GoldenError::RowTooSmall { need })?;
                let at = io_base.get_mut(i).ok_or(GoldenError::Run(RunError::Input))?;
                (*at..).zip(room.iter_mut()).for_each(|(k, to)| *to = golden_byte(golden.seed, k));
                run.push_rows(i, room).map_err(GoldenError::Run)?;
                *at = at.wrapping_add(need as u32);
            }
            Err(error) => return Err(GoldenError::Run(error)),
        }
    }
    let mut crc = Crc::new();
    for i in 0..model.outputs() {
        crc.add(run.output(i).map_err(GoldenError::Run)?);
    }
    if crc.value() == golden.crc { Ok(()) } else { Err(GoldenError::Differs) }
}

/// Inputs whose rows may be pushed, as the runner has it.
const PUSHED: usize = 8;
