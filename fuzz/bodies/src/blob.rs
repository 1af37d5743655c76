//! A `.carafe` file.

use carafe::blob::{CRC_FROM, crc32};
use carafe::{Model, RunError, Session};

/// More memory than a small model needs.
const ARENA: usize = 1 << 16;

/// Writes length and checksum that the bytes have, so that the checks behind them are reached.
pub fn mend(blob: &mut [u8]) {
    let length = blob.len() as u32;
    if blob.len() <= CRC_FROM {
        return;
    }
    blob[8..12].copy_from_slice(&length.to_le_bytes());
    let crc = crc32(&blob[CRC_FROM..]);
    blob[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
}

/// True if an inference of the model is a matter of a moment. Large steps are slow, not wrong.
pub fn is_quick(model: &Model<'_>) -> bool {
    let needs = || (0..model.nodes()).filter_map(|n| model.need(n));
    let macs: u64 = needs().map(|n| u64::from(n.macs)).sum();
    let elements: usize = (0..model.nodes()).filter_map(|n| model.tensor(n)).map(|t| t.bytes()).sum();
    macs <= 10_000_000 && elements <= 4_000_000 && model.max_steps() <= 100_000
}

/// The verifier refuses the blob, or it runs to its end or to an error.
pub fn check(data: &[u8]) {
    let mut blob = data.to_vec();
    mend(&mut blob);
    let Ok(model) = Model::verify(&blob, carafe::ops::ALL) else { return };
    for n in 0..model.nodes() {
        assert!(model.need(n).is_some());
    }
    let _ = (model.strings().count(), model.golden(), model.scale(0));
    if !is_quick(&model) {
        return;
    }
    let mut arena = vec![0xA5; ARENA];
    let mut session = Session::new(model);
    let Ok(mut run) = session.start(&mut arena) else { return };
    let row = [7; ARENA];
    while let Err(RunError::NeedsInput { input }) = run.run() {
        let i = usize::from(input);
        let stride = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
        let Some(row) = row.get(..stride) else { break };
        if run.push_rows(i, row).is_err() {
            break;
        }
    }
    assert!(run.steps() <= model.max_steps());
    assert!(run.high_water() <= model.arena_bytes());
    for i in 0..model.outputs() {
        assert_eq!(run.output(i).map(<[u8]>::len).ok(), model.output(i).map(|o| o.bytes));
    }
}
