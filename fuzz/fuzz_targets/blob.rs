#![no_main]

use carafe::blob::{CRC_FROM, crc32};
use carafe::{Model, RunError, Session};
use libfuzzer_sys::fuzz_target;

/// More memory than a small model needs.
const ARENA: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let mut blob = data.to_vec();
    if blob.len() > CRC_FROM {
        let length = blob.len() as u32;
        blob[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = crc32(&blob[CRC_FROM..]);
        blob[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
    }
    let Ok(model) = Model::verify(&blob, carafe::ops::ALL) else { return };
    for n in 0..model.nodes() {
        assert!(model.need(n).is_some());
    }
    let _ = (model.strings().count(), model.golden(), model.scale(0));
    // Large steps are slow, not wrong.
    let macs: u64 = (0..model.nodes()).filter_map(|n| model.need(n)).map(|n| u64::from(n.macs)).sum();
    if macs > 10_000_000 || model.max_steps() > 100_000 {
        return;
    }
    let mut arena = vec![0xA5; ARENA];
    let mut session = Session::new(model);
    let Ok(mut run) = session.start(&mut arena) else { return };
    let row = [7; ARENA];
    loop {
        match run.run() {
            Err(RunError::NeedsInput { input }) => {
                let i = usize::from(input);
                let stride = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
                let Some(row) = row.get(..stride) else { break };
                if run.push_rows(i, row).is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    assert!(run.steps() <= model.max_steps());
    assert!(run.high_water() <= model.arena_bytes());
    for i in 0..model.outputs() {
        assert_eq!(run.output(i).map(<[u8]>::len).ok(), model.output(i).map(|o| o.bytes));
    }
});
