use core::cell::Cell;
use core::fmt;

use crate::{NodeId, OpCode, Probe};

/// What a log keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// Nothing: an entry that is free.
    #[default]
    Free,
    /// A segment was offered, and the device asked for so many ticks, or declined.
    Offered {
        /// Index of the segment.
        segment: u16,
        /// What it asked for.
        ticks: Option<u32>,
    },
    /// A segment became a job.
    Submitted {
        /// Index of the segment.
        segment: u16,
    },
    /// The device did not take the job after all.
    Refused {
        /// Index of the segment.
        segment: u16,
    },
    /// The device was asked, and is still at work.
    Busy,
    /// The job is done.
    Ready,
    /// The job has failed.
    Failed,
    /// The job was cancelled.
    Cancelled,
    /// The CPU made a step.
    Step(NodeId),
}

/// What [`super::Traced`] and [`Steps`] saw, in one order. It can be written to by all who know of it, and keeps what
/// came first.
///
/// ```
/// use carafe::offload::{Event, Log};
/// use core::cell::Cell;
///
/// let mut entries = [Event::Free; 100];
/// let log = Log::new(Cell::from_mut(&mut entries[..]).as_slice_of_cells());
/// assert_eq!(log.overlap(), 0);
/// ```
#[derive(Debug)]
pub struct Log<'b> {
    entries: &'b [Cell<Event>],
    next: Cell<usize>,
    lost: Cell<u32>,
}

impl<'b> Log<'b> {
    /// An empty log.
    pub fn new(entries: &'b [Cell<Event>]) -> Self {
        Self { entries, next: Cell::new(0), lost: Cell::new(0) }
    }

    /// Writes an entry.
    pub fn add(&self, event: Event) {
        let at = self.next.get();
        match self.entries.get(at) {
            Some(entry) => {
                entry.set(event);
                self.next.set(at.saturating_add(1));
            }
            None => self.lost.set(self.lost.get().saturating_add(1)),
        }
    }

    /// The entries.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.entries.iter().take(self.next.get()).map(Cell::get)
    }

    /// Entries for which there was no room.
    pub fn lost(&self) -> u32 {
        self.lost.get()
    }

    /// Begins anew.
    pub fn clear(&self) {
        self.next.set(0);
        self.lost.set(0);
    }

    /// Steps that the CPU made while a job was pending.
    pub fn overlap(&self) -> u32 {
        let (mut pending, mut steps) = (false, 0u32);
        for event in self.events() {
            pending = after(event, pending);
            steps = steps.saturating_add(u32::from(pending && matches!(event, Event::Step(_))));
        }
        steps
    }

    /// The log as two lines, time from left to right:
    ///
    /// ```text
    /// cpu ###..####...#
    /// dev    S=---=R !
    /// ```
    ///
    /// `#` is a step, `S` a submission, `=` a look at a device at work, `-` the device at work while the CPU made a step,
    /// `R` a job done, `X` one failed, `!` one declined or refused, `C` one cancelled.
    pub fn timeline(&self) -> Timeline<'_, 'b> {
        Timeline(self)
    }
}

/// True if a job is pending after an event.
fn after(event: Event, before: bool) -> bool {
    match event {
        Event::Submitted { .. } => true,
        Event::Ready | Event::Failed | Event::Cancelled => false,
        _ => before,
    }
}

/// See [`Log::timeline`].
#[derive(Clone, Copy, Debug)]
pub struct Timeline<'l, 'b>(&'l Log<'b>);

impl fmt::Display for Timeline<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpu ")?;
        for event in self.0.events() {
            f.write_str(if matches!(event, Event::Step(_)) { "#" } else { "." })?;
        }
        f.write_str("\ndev ")?;
        let mut pending = false;
        for event in self.0.events() {
            pending = after(event, pending);
            f.write_str(match event {
                Event::Submitted { .. } => "S",
                Event::Busy => "=",
                Event::Ready => "R",
                Event::Failed => "X",
                Event::Refused { .. } | Event::Offered { ticks: None, .. } => "!",
                Event::Cancelled => "C",
                Event::Step(_) if pending => "-",
                Event::Step(_) | Event::Offered { .. } | Event::Free => " ",
            })?;
        }
        Ok(())
    }
}

/// A probe that writes the steps of the CPU to a log.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'l>(pub &'l Log<'l>);

impl Probe for Steps<'_> {
    fn begin(&mut self, node: NodeId, _: OpCode) {
        self.0.add(Event::Step(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_log_keeps_what_came_first_and_draws_it() {
        let entries = [const { Cell::new(Event::Free) }; 12];
        let log = Log::new(&entries);
        let step = Event::Step(NodeId(0));
        let all = [
            step,
            Event::Offered { segment: 1, ticks: Some(3) },
            Event::Submitted { segment: 1 },
            step,
            Event::Busy,
            step,
            Event::Ready,
            step,
            Event::Offered { segment: 2, ticks: None },
            Event::Submitted { segment: 3 },
            Event::Failed,
            Event::Cancelled,
            step,
        ];
        all.iter().for_each(|&e| log.add(e));
        assert!(log.events().eq(all[..12].iter().copied()));
        assert_eq!((log.lost(), log.overlap()), (1, 2));
        assert_eq!(log.timeline().to_string(), "cpu #..#.#.#....\ndev   S-=-R !SXC");
        log.clear();
        assert_eq!((log.lost(), log.events().count()), (0, 0));
    }
}
