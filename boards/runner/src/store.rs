//! Models in flash: what the slots are asked for over the link, and what a model has to stand before it is entered.

use carafe::{Memory, Model, Registry};
use carafe_protocol::{Fault, MAX_DATA, Passed, SlotInfo, SlotReason, SlotState};
use carafe_slots::embedded_storage::nor_flash::NorFlash;
use carafe_slots::{Booted, GoldenError, Reason, Slot, Slots, SlotsError, State, Writer};

use crate::core_api;
use crate::log::log;
use crate::transfer::wire;

/// Whose models are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    #[cfg(feature = "signed")]
    pub key: Option<carafe_slots::Key>,
}

impl Policy {
    /// The key that models have to be signed with.
    pub fn key(&self) -> Option<[u8; 8]> {
        #[cfg(feature = "signed")]
        return self.key.map(|key| key.id());
        #[cfg(not(feature = "signed"))]
        None
    }

    pub fn check(&self, _file: &[u8]) -> Result<(), Fault> {
        #[cfg(feature = "signed")]
        if let Some(key) = self.key {
            use carafe_slots::SignatureError;
            return key.check(_file).map_err(|error| match error {
                SignatureError::Unsigned => Fault::Unsigned { key: key.id() },
                SignatureError::OtherKey { key: signed } => Fault::OtherKey { key: key.id(), signed },
                SignatureError::Wrong => Fault::Signature,
            });
        }
        Ok(())
    }
}

/// The slots, and what is known of them since the start.
pub(crate) struct Store<F> {
    slots: Option<Slots<F>>,
    pub policy: Policy,
    /// A model on its way into flash, and the CRC that it should have.
    writer: Option<(Writer, u32)>,
    /// The slot that the board started from: it is not overwritten.
    booted: Option<Slot>,
    passed: Option<(Slot, Reason)>,
}

/// A model that was put into a bank.
pub(crate) struct Found {
    pub slot: Slot,
    pub bank: usize,
    pub len: usize,
}

impl<F: NorFlash> Store<F> {
    pub fn new(slots: Option<Slots<F>>, policy: Policy) -> Self {
        Self { slots, policy, writer: None, booted: None, passed: None }
    }

    /// The model to start with.
    #[inline(never)]
    pub fn boot(&mut self, registry: Registry<'_>, mut banks: [&mut [u8]; 2], arena: &mut [u8]) -> Option<Found> {
        let policy = self.policy;
        let slots = self.slots.as_mut()?;
        let mut place = None;
        let Booted { model, passed } = slots.boot(|slots, slot, content, trial| {
            let len = usize::try_from(content.len).map_err(|_| Reason::Memory)?;
            let at = banks.iter().position(|bank| len <= bank.len()).ok_or(Reason::Memory)?;
            let bytes = slots.load(slot, content, banks.get_mut(at).ok_or(Reason::Memory)?)?;
            qualify(bytes, registry, policy, arena, trial).map_err(reason)?;
            place = Some(Found { slot, bank: at, len });
            Ok(())
        });
        if let Some((_slot, _why)) = passed {
            log!("slot {} passed over: {}", _slot, _why);
        }
        self.passed = passed;
        let (slot, _) = model?;
        self.booted = Some(slot);
        place.filter(|found| found.slot == slot)
    }

    /// Puts the model that the board started from into a bank once more.
    #[inline(never)]
    pub fn reload(&mut self, mut banks: [&mut [u8]; 2]) -> Option<Found> {
        let (slot, slots) = (self.booted?, self.slots.as_mut()?);
        let content = slots.content(slot)?;
        let len = usize::try_from(content.len).ok()?;
        let bank = banks.iter().position(|bank| len <= bank.len())?;
        slots.load(slot, &content, banks.get_mut(bank)?).ok()?;
        Some(Found { slot, bank, len })
    }

    /// Begins to take a model. `bank_bytes` is what there is to run it from.
    #[inline(never)]
    pub fn begin(&mut self, len: u32, crc: u32, bank_bytes: usize) -> Result<(), Fault> {
        self.writer = None;
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        let have = slots.capacity().min(wire(bank_bytes));
        if len > have {
            return Err(Fault::ModelTooBig { have });
        }
        self.writer = Some((slots.begin(len, self.booted).map_err(fault)?, crc));
        Ok(())
    }

    #[inline(never)]
    pub fn chunk(&mut self, offset: u32, data: &[u8]) -> Result<(), Fault> {
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        let (writer, _) = self.writer.as_mut().ok_or(Fault::NoTransfer)?;
        if offset != writer.taken() {
            return Err(Fault::ChunkOrder { expected: writer.taken() });
        }
        let missing = writer.len().saturating_sub(writer.taken());
        if data.len() > missing as usize || data.len() > MAX_DATA {
            return Err(Fault::ChunkTooLong { missing });
        }
        let written = slots.write(writer, data).map_err(fault);
        if written.is_err() {
            self.writer = None;
        }
        written
    }

    /// True if a model has arrived in full; it is dropped otherwise.
    pub fn complete(&mut self) -> Result<(), Fault> {
        if self.slots.is_none() {
            return Err(Fault::NoSlots);
        }
        let (have, need) = self.writer.as_ref().map(|(w, _)| (w.taken(), w.len())).ok_or(Fault::NoTransfer)?;
        if have == need {
            return Ok(());
        }
        self.writer = None;
        Err(Fault::Incomplete { have, need })
    }

    /// Bytes of the model that has arrived.
    pub fn arrived(&self) -> usize {
        self.writer.as_ref().map_or(0, |(writer, _)| writer.len() as usize)
    }

    /// Enters the model that has arrived, if it is as it should be. `bank` is overwritten.
    #[inline(never)]
    pub fn enter(&mut self, registry: Registry<'_>, bank: &mut [u8], arena: &mut [u8]) -> Result<(), Fault> {
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        let (writer, crc) = self.writer.take().ok_or(Fault::NoTransfer)?;
        let have = wire(bank.len());
        let bytes = bank.get_mut(..writer.len() as usize).ok_or(Fault::ModelTooBig { have })?;
        slots.read(writer.slot(), bytes).map_err(fault)?;
        if carafe::blob::crc32(bytes) != crc {
            return Err(Fault::TransferCrc);
        }
        qualify(bytes, registry, self.policy, arena, true)?;
        slots.commit(writer, crc).map_err(fault)?;
        Ok(())
    }

    pub fn confirm(&mut self, running: Option<Slot>) -> Result<(), Fault> {
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        slots.confirm(running.ok_or(Fault::NotFromSlot)?).map_err(fault)
    }

    pub fn revert(&mut self, running: Option<Slot>) -> Result<(), Fault> {
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        slots.revert(running.ok_or(Fault::NotFromSlot)?).map_err(fault)
    }

    #[inline(never)]
    pub fn status(&mut self, running: Option<Slot>) -> Result<carafe_protocol::Slots, Fault> {
        let slots = self.slots.as_mut().ok_or(Fault::NoSlots)?;
        let info = |slots: &mut Slots<F>, slot| match slots.content(slot) {
            Some(c) => SlotInfo { state: state(c.state), sequence: c.sequence, len: c.len, crc: c.crc },
            None => SlotInfo { state: SlotState::Empty, sequence: 0, len: 0, crc: 0 },
        };
        Ok(carafe_protocol::Slots {
            model_bytes: slots.capacity(),
            key: self.policy.key(),
            running: running.map(Slot::index),
            slots: [info(slots, Slot::A), info(slots, Slot::B)],
            passed: self.passed.map(|(slot, why)| Passed { slot: slot.index(), why: slot_reason(why) }),
        })
    }
}

/// Looks whether a model can run here, and, for one that nobody has confirmed yet, whether it gives the right bits.
#[inline(never)]
fn qualify(bytes: &[u8], registry: Registry<'_>, policy: Policy, arena: &mut [u8], golden: bool) -> Result<(), Fault> {
    policy.check(bytes)?;
    let model = Model::verify(bytes, registry).map_err(core_api::blob_fault)?;
    let need = core_api::memory_bytes(&model);
    let too_small = Fault::ArenaTooSmall { need: wire(need), have: wire(arena.len()) };
    if need > arena.len() {
        return Err(too_small);
    }
    if !golden {
        return Ok(());
    }
    let (main, rest) = arena.split_at_mut_checked(model.arena_bytes()).ok_or(too_small)?;
    let (fast, rest) = rest.split_at_mut_checked(model.fast_bytes()).ok_or(too_small)?;
    let (state, row) = rest.split_at_mut_checked(model.state_bytes()).ok_or(too_small)?;
    carafe_slots::golden(&model, Memory { main, fast }, state, row).map_err(|error| match error {
        GoldenError::Missing => Fault::NoGolden,
        GoldenError::Run(error) => core_api::run_fault(error),
        GoldenError::RowTooSmall { .. } => too_small,
        _ => Fault::Golden,
    })
}

fn reason(fault: Fault) -> Reason {
    match fault {
        Fault::ArenaTooSmall { .. } | Fault::ModelTooBig { .. } => Reason::Memory,
        Fault::Blob(_) => Reason::Blob,
        Fault::NoGolden => Reason::NoGolden,
        Fault::Golden | Fault::Run { .. } => Reason::Golden,
        Fault::Unsigned { .. } | Fault::OtherKey { .. } | Fault::Signature => Reason::Signature,
        Fault::TransferCrc => Reason::Crc,
        _ => Reason::Flash,
    }
}

fn fault(error: SlotsError) -> Fault {
    match error {
        SlotsError::TooLarge { have } => Fault::ModelTooBig { have },
        SlotsError::Crc => Fault::TransferCrc,
        SlotsError::NoModel => Fault::NotFromSlot,
        SlotsError::NoOther => Fault::NothingToRevertTo,
        _ => Fault::Flash,
    }
}

fn state(state: State) -> SlotState {
    match state {
        State::Empty => SlotState::Empty,
        State::Trial(n) => SlotState::Trial(n),
        State::Good => SlotState::Good,
        State::Rejected(why) => SlotState::Rejected(slot_reason(why)),
    }
}

fn slot_reason(why: Reason) -> SlotReason {
    match why {
        Reason::Trials => SlotReason::Trials,
        Reason::Reverted => SlotReason::Reverted,
        Reason::Crc => SlotReason::Crc,
        Reason::Blob => SlotReason::Blob,
        Reason::Memory => SlotReason::Memory,
        Reason::NoGolden => SlotReason::NoGolden,
        Reason::Golden => SlotReason::Golden,
        Reason::Signature => SlotReason::Signature,
        Reason::Flash => SlotReason::Flash,
        _ => SlotReason::Unknown,
    }
}
