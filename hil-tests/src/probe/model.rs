//! A model into a slot, by a probe alone: the host works out what the flash should hold, with the code of the device.

use std::time::{Duration, Instant};

use carafe_protocol::CRC;
use carafe_slots::{HEADER_BYTES, RamFlash, Slot, Slots, State};

use super::{Port, ProbeError};
use crate::FlashProgress;

/// Where a firmware has its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotArea {
    /// Address of the first.
    pub address: u64,
    /// Bytes of each: whole sectors.
    pub slot_bytes: u32,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flashed {
    /// The slot that the model went to.
    pub slot: Slot,
    /// Counts installations.
    pub sequence: u32,
}

/// Marks have words of their own, of the largest size, and models are filled up to one: whatever words the real flash
/// has, this says what it will hold. Its sectors are the probe's business.
type Mirror<'a> = Slots<RamFlash<'a, { carafe_slots::MAX_WORD }, { HEADER_BYTES as usize }>>;

fn mirror(memory: &mut [u8], area: SlotArea) -> Result<Mirror<'_>, ProbeError> {
    Slots::new(RamFlash::new(memory), 0, area.slot_bytes).map_err(ProbeError::Slots)
}

/// Read at a time, so that a cut cable shows soon.
const READ: usize = 16 << 10;

fn read(port: &mut dyn Port, mut address: u64, to: &mut [u8]) -> Result<(), ProbeError> {
    for part in to.chunks_mut(READ) {
        port.read(address, part)?;
        address += part.len() as u64;
    }
    Ok(())
}

/// Writes a model into the slot that can be spared, reads it back, and resets the board, which then tries it: it
/// verifies the model, runs its golden check, and returns to the old one by itself if need be.
///
/// # Errors
/// See [`ProbeError`].
pub fn flash_model(
    port: &mut dyn Port,
    area: SlotArea,
    file: &[u8],
    progress: &mut dyn FlashProgress,
) -> Result<Flashed, ProbeError> {
    let mut memory = vec![0; 2 * area.slot_bytes as usize];
    read(port, area.address, &mut memory)?;
    let mut slots = mirror(&mut memory, area)?;
    let len = u32::try_from(file.len()).unwrap_or(u32::MAX);
    let mut writer = slots.begin(len, None).map_err(ProbeError::Slots)?;
    slots.write(&mut writer, file).map_err(ProbeError::Slots)?;
    let slot = slots.commit(writer, CRC.checksum(file)).map_err(ProbeError::Slots)?;
    let sequence = slots.content(slot).map_or(0, |content| content.sequence);
    let from = usize::from(slot.index()) * area.slot_bytes as usize;
    let end = from + (HEADER_BYTES as usize + file.len()).next_multiple_of(carafe_slots::MAX_WORD);
    let data = &memory[from..end];
    let address = area.address + from as u64;
    port.program(address, data, progress)?;
    let mut back = vec![0; data.len()];
    read(port, address, &mut back)?;
    if let Some(at) = back.iter().zip(data).position(|(back, data)| back != data) {
        return Err(ProbeError::Verify { address: address + at as u64 });
    }
    port.reset()?;
    Ok(Flashed { slot, sequence })
}

/// Between two looks at the marks.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until the board has tried the model, or thrown it out, or `limit` is over; the state it came to.
///
/// # Errors
/// [`ProbeError::Transfer`].
pub fn watch(port: &mut dyn Port, area: SlotArea, slot: Slot, limit: Duration) -> Result<State, ProbeError> {
    let begun = Instant::now();
    let mut last = State::Empty;
    let mut memory = vec![0xFF; 2 * area.slot_bytes as usize];
    let from = usize::from(slot.index()) * area.slot_bytes as usize;
    loop {
        read(port, area.address + from as u64, &mut memory[from..from + HEADER_BYTES as usize])?;
        let now = mirror(&mut memory, area)?.state(slot);
        // One that is on trial may still be thrown out by its check.
        let settled =
            matches!(now, State::Good | State::Rejected(_)) || (now == last && matches!(now, State::Trial(1..)));
        if settled || begun.elapsed() >= limit {
            return Ok(now);
        }
        last = now;
        std::thread::sleep(PAUSE.min(limit));
    }
}
