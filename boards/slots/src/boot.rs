use embedded_storage::nor_flash::NorFlash;

use crate::layout::{Content, Mark, Reason, Slot, State, TRIALS};
use crate::slots::Slots;

/// What [`Slots::boot`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Booted {
    /// The slot whose model is to run, and what it is; `None` if there is none.
    pub model: Option<(Slot, Content)>,
    /// The newer slot that was passed over for it, and why.
    pub passed: Option<(Slot, Reason)>,
}

impl<F: NorFlash> Slots<F> {
    /// Finds the model to run: the newest that is confirmed, or may still be tried.
    ///
    /// `check` looks whether a model can run ([`Slots::load`], `Model::verify`, the signature) and, if the flag is set,
    /// whether it gives the bits it should ([`crate::golden`]): it is on trial. That trial is written down before, so
    /// that a model which hangs or crashes has had it. One on trial that fails is rejected at once; a confirmed one
    /// that fails is passed over, for another firmware may have the op that it lacks.
    pub fn boot(&mut self, mut check: impl FnMut(&mut Self, Slot, &Content, bool) -> Result<(), Reason>) -> Booted {
        let mut passed = None;
        let [a, b] = Slot::BOTH.map(|slot| self.content(slot).map(|content| (slot, content)));
        let newer = |(_, x): &(Slot, Content), (_, y): &(Slot, Content)| x.sequence > y.sequence;
        let b_first = a.zip(b).is_some_and(|(a, b)| newer(&b, &a));
        let order = if b_first { [b, a] } else { [a, b] };
        for (slot, mut content) in order.into_iter().flatten() {
            let found = match content.state {
                State::Good => check(self, slot, &content, false),
                State::Trial(n) => {
                    let tried = self.try_once(slot, &content, n, &mut check);
                    content.state = State::Trial(n.saturating_add(1));
                    if let Err(reason) = tried {
                        // If that can't be written, the next start comes here again.
                        let _ = self.reject(slot, reason);
                    }
                    tried
                }
                State::Rejected(reason) => Err(reason),
                State::Empty => continue,
            };
            match found {
                Ok(()) => return Booted { model: Some((slot, content)), passed },
                Err(reason) => passed = passed.or(Some((slot, reason))),
            }
        }
        Booted { model: None, passed }
    }

    fn try_once(
        &mut self,
        slot: Slot,
        content: &Content,
        so_far: u8,
        check: &mut impl FnMut(&mut Self, Slot, &Content, bool) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        if so_far >= TRIALS {
            return Err(Reason::Trials);
        }
        // Trials are marked in order, and a torn mark counts, so the next word is blank.
        self.mark(slot, Mark::Trial(so_far), content.seal).map_err(|_| Reason::Flash)?;
        check(self, slot, content, true)
    }

    /// Copies the model of a slot into memory, its first bytes of `bank`, and holds them against its manifest.
    ///
    /// # Errors
    /// [`Reason::Memory`] if `bank` is too small, [`Reason::Flash`], [`Reason::Crc`].
    #[inline(never)]
    pub fn load<'b>(&mut self, slot: Slot, content: &Content, bank: &'b mut [u8]) -> Result<&'b [u8], Reason> {
        let len = usize::try_from(content.len).map_err(|_| Reason::Memory)?;
        let bytes = bank.get_mut(..len).ok_or(Reason::Memory)?;
        self.read(slot, bytes).map_err(|_| Reason::Flash)?;
        if carafe::blob::Crc::of(bytes) == content.crc { Ok(bytes) } else { Err(Reason::Crc) }
    }
}
