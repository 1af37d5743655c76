//! The three levels of the runner: no model, a model, a run of it. Each owns what the level below borrows, so what
//! cannot be done at a level cannot be written there.

use core::cell::RefCell;

use carafe::{Model, Registry, Session};
use carafe_protocol::{Fault, Info, MAX_DATA, MAX_NAME, NodeTicks, Observe, Request, Response, RunStats, VERSION};
use carafe_slots::embedded_storage::nor_flash::NorFlash;
use carafe_slots::{NoFlash, Slot, Slots};
use embedded_io::{Read, Write};

use crate::core_api::{self, Watch};
use crate::log::log;
use crate::outside::{Inbox, Lost, Outside};
use crate::store::{Policy, Store};
use crate::transfer::{Transfer, wire};
use crate::{Clock, Ending, Identity, Memory, Stack};

/// A firmware's body; see the [crate] documentation.
pub struct Runner<'a, L, C, S, F = NoFlash> {
    identity: Identity<'a>,
    registry: Registry<'a>,
    outside: RefCell<Outside<L, C>>,
    stack: S,
    memory: Memory<'a>,
    slots: Option<Slots<F>>,
    policy: Policy,
}

/// What all levels share.
struct Desk<'d, L, C, S, F> {
    identity: Identity<'d>,
    registry: Registry<'d>,
    /// Of each bank and of the arena: what the board has.
    bank_bytes: [usize; 2],
    arena_bytes: usize,
    inbox: Inbox,
    /// A run's probe shares it.
    outside: &'d RefCell<Outside<L, C>>,
    stack: S,
    transfer: Option<Transfer>,
    store: Store<F>,
    /// The slot that the present model came from.
    running: Option<Slot>,
}

/// Why a level was left.
enum Turn {
    /// The host, or the link, is done with us.
    End(Ending),
    /// To the beginning: no model any more. The request that asked for it may have been kept for there.
    Forget,
    /// A whole model has arrived in this bank.
    Candidate { bank: usize, len: usize },
    /// A whole model has arrived in flash.
    FlashEnd,
    /// The run is over; the request that ends it has been kept.
    NextRun,
}

impl From<Lost> for Turn {
    fn from(_: Lost) -> Self {
        Turn::End(Ending::LinkLost)
    }
}

/// A model that has verified, and where it is.
#[derive(Clone, Copy)]
struct Placed {
    bank: usize,
    len: usize,
    /// Where it came from, if that was flash.
    slot: Option<Slot>,
}

impl From<crate::store::Found> for Placed {
    fn from(found: crate::store::Found) -> Self {
        Self { bank: found.bank, len: found.len, slot: Some(found.slot) }
    }
}

impl<'a, L: Read + Write, C: Clock, S: Stack> Runner<'a, L, C, S> {
    /// A runner without a model, and without flash. `registry` has the ops that the firmware links.
    pub fn new(
        identity: Identity<'a>,
        registry: Registry<'a>,
        link: L,
        clock: C,
        stack: S,
        memory: Memory<'a>,
    ) -> Self {
        let outside = RefCell::new(Outside::new(link, clock));
        Self { identity, registry, outside, stack, memory, slots: None, policy: Policy::default() }
    }

    /// With slots for models in flash: the runner starts with the model that is in them. `None` is as before.
    pub fn with_slots<F: NorFlash>(self, slots: Option<Slots<F>>) -> Runner<'a, L, C, S, F> {
        let Self { identity, registry, outside, stack, memory, slots: _, policy } = self;
        Runner { identity, registry, outside, stack, memory, slots, policy }
    }
}

impl<L: Read + Write, C: Clock, S: Stack, F: NorFlash> Runner<'_, L, C, S, F> {
    /// Takes models only that this key has signed, into flash and over the wire.
    #[cfg(feature = "signed")]
    #[must_use]
    pub fn with_key(mut self, key: carafe_slots::Key) -> Self {
        self.policy.key = Some(key);
        self
    }

    /// The same with a log that goes over the link, between answers. `take` fills the room it is given with what has
    /// been logged since, and says how many bytes that were; they are defmt's, as its logger encodes them.
    #[must_use]
    pub fn logging(mut self, take: fn(&mut [u8]) -> usize) -> Self {
        self.outside.get_mut().log = Some(take);
        self
    }

    /// Serves the link until the host asks to leave or the link ends.
    pub fn serve(self) -> Ending {
        let Self { identity, registry, outside, stack, memory: Memory { banks: [bank0, bank1], arena }, slots, policy } =
            self;
        let mut desk = Desk {
            identity,
            registry,
            bank_bytes: [bank0.len(), bank1.len()],
            arena_bytes: arena.len(),
            inbox: Inbox::new(),
            outside: &outside,
            stack,
            transfer: None,
            store: Store::new(slots, policy),
            running: None,
        };
        let mut placed: Option<Placed> = desk.store.boot(registry, [&mut *bank0, &mut *bank1], arena).map(Placed::from);
        // The model that a candidate would replace; it returns if the candidate does not verify.
        let mut before: Option<Placed> = None;
        let mut announce = false;
        loop {
            desk.running = placed.and_then(|placed| placed.slot);
            let turn = match placed {
                None => desk.without_model([&mut *bank0, &mut *bank1]).unwrap_or_else(Turn::from),
                Some(Placed { bank, len, .. }) => {
                    let (own, other) = if bank == 0 { (&*bank0, &mut *bank1) } else { (&*bank1, &mut *bank0) };
                    let own = own.get(..len).unwrap_or_default();
                    let verified = Model::verify(own, desk.registry).map_err(core_api::blob_fault);
                    match verified.and_then(|model| desk.store.policy.check(own).map(|()| model)) {
                        Ok(model) => {
                            before = None;
                            let announced = if core::mem::take(&mut announce) {
                                log!("model of {} bytes, arena {}", len, model.arena_bytes());
                                desk.answer(&Response::Loaded(core_api::loaded(&model)))
                            } else {
                                Ok(())
                            };
                            announced
                                .and_then(|()| desk.with_model(model, 1 - bank.min(1), other, arena))
                                .unwrap_or_else(Turn::from)
                        }
                        Err(error) => {
                            placed = before.take();
                            let announced = core::mem::take(&mut announce);
                            match announced.then(|| desk.refuse(error)) {
                                Some(Err(lost)) => Turn::from(lost),
                                _ => continue,
                            }
                        }
                    }
                }
            };
            match turn {
                Turn::End(ending) => return ending,
                Turn::Forget => placed = None,
                Turn::Candidate { bank, len } => {
                    before = placed.filter(|old| old.bank != bank);
                    placed = Some(Placed { bank, len, slot: None });
                    announce = true;
                }
                Turn::FlashEnd => {
                    // Into the bank that the present model is not in, if that is large enough.
                    let len = desk.store.arrived();
                    let beside = placed.map_or(0, |placed| 1 - placed.bank.min(1));
                    let bank_bytes = if beside == 0 { bank0.len() } else { bank1.len() };
                    let beside = if len <= bank_bytes { beside } else { 1 - beside };
                    let bank = if beside == 0 { &mut *bank0 } else { &mut *bank1 };
                    let entered = desk.store.enter(registry, bank, arena);
                    if placed.is_some_and(|placed| placed.bank == beside) {
                        placed = desk.store.reload([&mut *bank0, &mut *bank1]).map(Placed::from);
                        desk.running = placed.and_then(|placed| placed.slot);
                    }
                    if let Err(Lost) = desk.slots_or(entered) {
                        return Ending::LinkLost;
                    }
                }
                Turn::NextRun => {}
            }
        }
    }
}

impl<L: Read + Write, C: Clock, S: Stack, F: NorFlash> Desk<'_, L, C, S, F> {
    fn without_model(&mut self, mut banks: [&mut [u8]; 2]) -> Result<Turn, Lost> {
        loop {
            match self.inbox.next(self.outside)? {
                Request::LoadBegin { len, crc } => {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    let reply = match self.bank_bytes.iter().position(|have| len <= *have) {
                        Some(bank) => {
                            self.transfer = Some(Transfer::begin(bank, len, crc));
                            Response::Done
                        }
                        None => Response::Fault(Fault::ModelTooBig { have: wire(self.largest_bank()) }),
                    };
                    self.answer(&reply)?;
                }
                Request::LoadChunk { offset, data } => {
                    let result = match &mut self.transfer {
                        Some(transfer) => match banks.get_mut(transfer.bank) {
                            Some(bank) => transfer.chunk(bank, offset, data),
                            None => Err(Fault::NoTransfer),
                        },
                        None => Err(Fault::NoTransfer),
                    };
                    self.done(result)?;
                }
                Request::LoadEnd => {
                    let [front, back] = &banks;
                    if let Some(turn) = self.load_end(|bank| if bank == 0 { front } else { back })? {
                        return Ok(turn);
                    }
                }
                Request::SetInput { .. } | Request::Run { .. } | Request::GetOutput { .. } => {
                    self.refuse(Fault::NoModel)?;
                }
                _ => {
                    if let Some(turn) = self.common()? {
                        return Ok(turn);
                    }
                }
            }
        }
    }

    /// Requests of the level with a model, and of the level of a run, as far as they are about loading.
    fn load_beside(&mut self, spare: usize, other: &mut [u8]) -> Result<Option<Turn>, Lost> {
        self.inbox.keep();
        match self.inbox.next(self.outside)? {
            Request::LoadBegin { len, crc } => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                if len > self.largest_bank() {
                    self.refuse(Fault::ModelTooBig { have: wire(self.largest_bank()) })?;
                } else if len <= other.len() {
                    self.transfer = Some(Transfer::begin(spare, len, crc));
                    self.answer(&Response::Done)?;
                } else {
                    // Only the bank of the present model is large enough.
                    self.inbox.keep();
                    return Ok(Some(Turn::Forget));
                }
                Ok(None)
            }
            Request::LoadChunk { offset, data } => {
                let result = match &mut self.transfer {
                    Some(transfer) if transfer.bank == spare => transfer.chunk(other, offset, data),
                    _ => Err(Fault::NoTransfer),
                };
                self.done(result)?;
                Ok(None)
            }
            Request::LoadEnd => self.load_end(|bank| if bank == spare { &*other } else { &[] }),
            _ => self.common(),
        }
    }

    fn load_end<'b>(&mut self, bank: impl Fn(usize) -> &'b [u8]) -> Result<Option<Turn>, Lost> {
        let result = match self.transfer.take() {
            Some(transfer) => transfer.end(bank(transfer.bank)).map(|len| (transfer.bank, len)),
            None => Err(Fault::NoTransfer),
        };
        match result {
            Ok((bank, len)) => Ok(Some(Turn::Candidate { bank, len })),
            Err(fault) => self.refuse(fault).map(|()| None),
        }
    }

    fn with_model(&mut self, model: Model<'_>, spare: usize, other: &mut [u8], arena: &mut [u8]) -> Result<Turn, Lost> {
        // The state goes on from run to run; what it does not fit into is refused at the first.
        let at = arena.len().saturating_sub(model.state_bytes());
        let (arena, state) = arena.split_at_mut_checked(at).unwrap_or_default();
        let mut session = Session::with_state(model, state).unwrap_or(Session::new(model));
        loop {
            match self.inbox.next(self.outside)? {
                Request::SetInput { .. } | Request::Run { .. } => {
                    self.inbox.keep();
                    match self.start(&model, &mut session, spare, other, arena)? {
                        Turn::NextRun => {}
                        turn => return Ok(turn),
                    }
                }
                Request::GetOutput { .. } => self.refuse(Fault::NotRun)?,
                _ => {
                    if let Some(turn) = self.load_beside(spare, other)? {
                        return Ok(turn);
                    }
                }
            }
        }
    }

    /// Begins a run for the request that was kept, and serves it.
    fn start(
        &mut self,
        model: &Model<'_>,
        session: &mut Session<'_>,
        spare: usize,
        other: &mut [u8],
        arena: &mut [u8],
    ) -> Result<Turn, Lost> {
        let staged = core_api::staged_bytes(model);
        let all = core_api::memory_bytes(model);
        let too_small = Fault::ArenaTooSmall { need: wire(all), have: wire(self.arena_bytes) };
        let split = arena.split_at_mut_checked(model.arena_bytes()).and_then(|(main, rest)| {
            let (fast, staging) = rest.split_at_mut_checked(model.fast_bytes())?;
            (staged <= staging.len()).then_some((carafe::Memory { main, fast }, staging))
        });
        let Some((memory, staging)) = split else {
            // The request is answered with a fault, and so is each one after it.
            self.refuse_kept(too_small)?;
            return Ok(Turn::NextRun);
        };
        let mut run = match session.start_in(memory, Watch::new(self.outside)) {
            Ok(run) => run,
            Err(error) => {
                self.refuse_kept(core_api::run_fault(error))?;
                return Ok(Turn::NextRun);
            }
        };
        let need = core_api::input_bytes(model);
        let mut have = 0usize;
        let mut finished = false;
        loop {
            match self.inbox.next(self.outside)? {
                Request::SetInput { .. } | Request::Run { .. } if finished => {
                    self.inbox.keep();
                    return Ok(Turn::NextRun);
                }
                Request::SetInput { index, offset, data } => {
                    let result = core_api::set_input(model, &mut run, staging, index, offset, data);
                    if result.is_ok() {
                        have = have.saturating_add(data.len());
                    }
                    self.done(result)?;
                }
                Request::Run { .. } if have < need => {
                    self.refuse(Fault::InputMissing { have: wire(have), need: wire(need) })?;
                }
                Request::Run { observe } => {
                    let before = self.watch(observe);
                    self.stack.paint();
                    let result = core_api::run_to_end(model, &mut run, staging, || {
                        let _ = self.ticks();
                    });
                    let ticks = self.ticks().saturating_sub(before);
                    finished = result.is_ok();
                    match result {
                        Ok(()) => {
                            let stats = RunStats {
                                ticks,
                                steps: run.steps(),
                                arena_bytes: wire(model.arena_bytes()),
                                arena_high_water: wire(run.high_water()),
                                stack_bytes: self.stack.used(),
                                rows: self.unwatch(),
                            };
                            log!("run of {} steps took {} ticks", stats.steps, stats.ticks);
                            let output = run.output(0).unwrap_or_default();
                            let output = if output.len() <= MAX_DATA { output } else { &[] };
                            self.answer(&Response::Ran { stats, output })?;
                        }
                        Err(error) => {
                            self.unwatch();
                            self.refuse(core_api::run_fault(error))?;
                            return Ok(Turn::NextRun);
                        }
                    }
                }
                Request::GetOutput { .. } if !finished => self.refuse(Fault::NotRun)?,
                Request::GetOutput { index, offset, len } => {
                    let count = u16::try_from(model.outputs()).unwrap_or(u16::MAX);
                    let reply = match run.output(usize::from(index)) {
                        Err(_) => Response::Fault(Fault::NoSuchOutput { count }),
                        Ok(output) => match part(output, offset, len) {
                            Some(data) => Response::Output { data },
                            None => Response::Fault(Fault::Range { len: wire(output.len()) }),
                        },
                    };
                    self.answer(&reply)?;
                }
                _ => {
                    if let Some(turn) = self.load_beside(spare, other)? {
                        return Ok(turn);
                    }
                }
            }
        }
    }

    /// Requests that are the same at all levels.
    fn common(&mut self) -> Result<Option<Turn>, Lost> {
        self.inbox.keep();
        match self.inbox.next(self.outside)? {
            Request::Hello { version } if version.major != VERSION.major => {
                self.refuse(Fault::Version { device: VERSION })?;
            }
            Request::Hello { .. } => self.introduce()?,
            Request::Echo { data } => {
                // Not `self.answer`: `data` is lent by the inbox.
                with(self.outside, |outside| outside.answer(&Response::Echo { data }))?;
            }
            Request::GetProfile { index } => self.profile(index)?,
            Request::Reset => {
                self.transfer = None;
                self.answer(&Response::Done)?;
                return Ok(Some(Turn::Forget));
            }
            Request::Exit { code } => {
                self.answer(&Response::Done)?;
                return Ok(Some(Turn::End(Ending::Exit { code })));
            }
            Request::FlashBegin { len, crc } => {
                let begun = self.store.begin(len, crc, self.bank_bytes.into_iter().fold(0, usize::max));
                self.done(begun)?;
            }
            Request::FlashChunk { offset, data } => {
                let taken = self.store.chunk(offset, data);
                self.done(taken)?;
            }
            Request::FlashEnd => match self.store.complete() {
                Ok(()) => return Ok(Some(Turn::FlashEnd)),
                Err(fault) => self.refuse(fault)?,
            },
            Request::GetSlots => self.slots_or(Ok(()))?,
            Request::Confirm => {
                let confirmed = self.store.confirm(self.running);
                self.slots_or(confirmed)?;
            }
            Request::Revert => {
                let reverted = self.store.revert(self.running);
                self.slots_or(reverted)?;
            }
            Request::Restart => {
                self.answer(&Response::Done)?;
                return Ok(Some(Turn::End(Ending::Restart)));
            }
            _ => self.refuse(Fault::UnknownRequest)?,
        }
        Ok(None)
    }

    /// Answers with what is in the slots, or why something could not be done to them.
    fn slots_or(&mut self, result: Result<(), Fault>) -> Result<(), Lost> {
        match result.and_then(|()| self.store.status(self.running)) {
            Ok(slots) => self.answer(&Response::Slots(slots)),
            Err(fault) => self.refuse(fault),
        }
    }

    fn introduce(&self) -> Result<(), Lost> {
        let ops = core_api::op_list(&self.registry);
        let counter = with(self.outside, |outside| Ok(outside.clock.counter()))?;
        let name = |name| Some(name).filter(|name: &&str| name.len() <= MAX_NAME).unwrap_or_default();
        self.answer(&Response::Info(Info {
            version: VERSION,
            board: name(self.identity.board),
            cpu: name(self.identity.cpu),
            model_bytes: wire(self.largest_bank()),
            arena_bytes: wire(self.arena_bytes),
            max_data: u16::try_from(MAX_DATA).unwrap_or(u16::MAX),
            counter,
            arithmetics: core_api::arithmetics(),
            ops: &ops,
        }))
    }

    fn profile(&self, index: u16) -> Result<(), Lost> {
        let (record, count): (Option<NodeTicks>, usize) = with(self.outside, |outside| {
            Ok((outside.profile.get(usize::from(index)).copied(), outside.profile.len()))
        })?;
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        match record {
            Some(record) => self.answer(&Response::Profile { count, record }),
            None => self.refuse(Fault::NoSuchRecord { count }),
        }
    }

    /// Begins to watch, and reads the clock.
    fn watch(&self, observe: Observe) -> u64 {
        let begin = |outside: &mut Outside<L, C>| {
            outside.observe = observe;
            outside.rows = 0;
            outside.profile.clear();
            Ok(outside.clock.ticks())
        };
        with(self.outside, begin).unwrap_or(0)
    }

    /// Watches no more, and tells how many rows were sent.
    fn unwatch(&self) -> u32 {
        let end = |outside: &mut Outside<L, C>| {
            outside.observe = Observe::Nothing;
            Ok(outside.rows)
        };
        with(self.outside, end).unwrap_or(0)
    }

    fn ticks(&self) -> u64 {
        with(self.outside, |outside| Ok(outside.clock.ticks())).unwrap_or(0)
    }

    fn largest_bank(&self) -> usize {
        self.bank_bytes.into_iter().fold(0, usize::max)
    }

    fn answer(&self, response: &Response<'_>) -> Result<(), Lost> {
        with(self.outside, |outside| outside.answer(response))
    }

    fn refuse(&self, fault: Fault) -> Result<(), Lost> {
        self.answer(&Response::Fault(fault))
    }

    /// Refuses the request that was kept.
    fn refuse_kept(&mut self, fault: Fault) -> Result<(), Lost> {
        self.inbox.next(self.outside)?;
        self.refuse(fault)
    }

    fn done(&self, result: Result<(), Fault>) -> Result<(), Lost> {
        self.answer(&match result {
            Ok(()) => Response::Done,
            Err(fault) => Response::Fault(fault),
        })
    }
}

/// Lends what is shared. No one keeps it across a call of this, so it is always there.
fn with<L, C, T>(
    outside: &RefCell<Outside<L, C>>,
    f: impl FnOnce(&mut Outside<L, C>) -> Result<T, Lost>,
) -> Result<T, Lost> {
    f(&mut *outside.try_borrow_mut().map_err(|_| Lost)?)
}

fn part(tensor: &[u8], offset: u32, len: u16) -> Option<&[u8]> {
    let from = usize::try_from(offset).ok()?;
    let len = usize::from(len);
    if len > MAX_DATA { None } else { tensor.get(from..from.checked_add(len)?) }
}
