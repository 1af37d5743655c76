//! defmt's global logger for boards whose only way out is the runner's link. What is logged waits in memory until the
//! runner asks for it by [`take`], and sends it between its answers (`Response::Log`). On a board with a debug probe,
//! `defmt-rtt` takes its place.
//!
//! If more is logged than there is room for, the newest lines are left out, each as a whole, so that what arrives can
//! always be read.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

use core::cell::RefCell;

use critical_section::{CriticalSection, Mutex, RestoreState};
use defmt::Encoder;
use heapless::Vec;

/// Bytes that may wait: some hundred lines.
const ROOM: usize = 2048;

struct Log {
    encoder: Encoder,
    waiting: Vec<u8, ROOM>,
    /// Where the line begins that is being written.
    line: usize,
    /// That line has no room.
    full: bool,
    restore: RestoreState,
}

static LOG: Mutex<RefCell<Log>> = Mutex::new(RefCell::new(Log {
    encoder: Encoder::new(),
    waiting: Vec::new(),
    line: 0,
    full: false,
    restore: RestoreState::invalid(),
}));

impl Log {
    /// Lends the encoder what it writes to.
    fn encode(&mut self, write: impl FnOnce(&mut Encoder, &mut dyn FnMut(&[u8]))) {
        let Self { encoder, waiting, full, .. } = self;
        write(encoder, &mut |bytes| *full |= waiting.extend_from_slice(bytes).is_err());
    }
}

/// Takes what waits, as much as there is room for; how much that is.
pub fn take(to: &mut [u8]) -> usize {
    critical_section::with(|section| {
        let Ok(mut log) = LOG.borrow(section).try_borrow_mut() else { return 0 };
        let taken = log.waiting.len().min(to.len());
        to.iter_mut().zip(&log.waiting).for_each(|(to, from)| *to = *from);
        log.waiting.rotate_left(taken);
        let left = log.waiting.len().saturating_sub(taken);
        log.waiting.truncate(left);
        taken
    })
}

#[defmt::global_logger]
struct Logger;

// SAFETY: from `acquire` to `release` interrupts are off, so no other line is written meanwhile; all that is shared is
// behind the mutex.
#[allow(unsafe_code)]
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: `release` gives it back, which defmt calls once for each call of this.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: it has just been taken.
        let section = unsafe { CriticalSection::new() };
        if let Ok(mut log) = LOG.borrow(section).try_borrow_mut() {
            log.restore = restore;
            log.line = log.waiting.len();
            log.full = false;
            log.encode(|encoder, write| encoder.start_frame(write));
        }
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: `acquire` has taken it.
        let section = unsafe { CriticalSection::new() };
        let restore = LOG.borrow(section).try_borrow_mut().map(|mut log| {
            log.encode(|encoder, write| encoder.end_frame(write));
            if log.full {
                let line = log.line;
                log.waiting.truncate(line);
            }
            log.restore
        });
        if let Ok(restore) = restore {
            // SAFETY: this is what `acquire` was given.
            unsafe { critical_section::release(restore) };
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: `acquire` has taken it.
        let section = unsafe { CriticalSection::new() };
        if let Ok(mut log) = LOG.borrow(section).try_borrow_mut() {
            log.encode(|encoder, write| encoder.write(bytes, write));
        }
    }
}
