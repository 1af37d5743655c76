//! What the programs of `carafe bench` have in common. They are built for one model and one machine each time, and run in
//! QEMU with `-icount`, where time passes by instructions:
//!
//! * `count` runs the model twice, as a product would by `include_model!`, and counts the second inference. Nothing is
//!   in it that a product would not have, so its size says what the runtime takes.
//! * `profile` runs it once with a probe, and counts each op.
//! * `idle` is `count` without a model: its size is what start-up, timer and console take.
//!
//! Each prints one line, numbers in hexadecimal (which takes no division), and ends the emulator.
#![no_std]
#![cfg_attr(target_arch = "sparc", feature(asm_experimental_arch))]
#![deny(unsafe_code)]

mod console;

use core::hint::black_box;

pub use board::{Timer, entry, leave};
use carafe_emulated::PaintedStack;
pub use carafe_emulated::{Once, Timer as Ticks};
pub use console::Line;

/// What the machine's crate has.
mod board {
    #[cfg(target_arch = "arm")]
    pub use carafe_mps::{Timer, entry, leave, print};
    #[cfg(target_arch = "sparc")]
    pub use carafe_qemu_leon3::{Timer, entry, leave, print};
    #[cfg(target_arch = "riscv32")]
    pub use carafe_qemu_riscv32_virt::{Timer, entry, leave, print};
}

/// Ticks a second.
pub const HZ: u32 = <Timer as Ticks>::HZ;

/// The model's figures.
pub mod constants {
    include!(concat!(env!("OUT_DIR"), "/constants.rs"));
}

/// An instruction without effect, on a register named for each kind of core. Of another register in each function, lest
/// the linker takes them for one.
macro_rules! marker {
    ($arm:literal, $riscv:literal, $sparc:literal) => {
        // SAFETY: it changes nothing.
        #[allow(unsafe_code)]
        unsafe {
            #[cfg(target_arch = "arm")]
            core::arch::asm!(concat!("mov ", $arm, ", ", $arm), options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "riscv32")]
            core::arch::asm!(concat!("mv ", $riscv, ", ", $riscv), options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "sparc")]
            core::arch::asm!(concat!("mov %", $sparc, ", %", $sparc), options(nomem, nostack, preserves_flags));
        }
    };
}

/// The measured inference begins. Called once, so that tools outside can count between here and [`carafe_bench_end`].
#[inline(never)]
#[allow(unsafe_code, reason = "the name is unique: nothing else is called so")]
#[unsafe(no_mangle)]
pub extern "C" fn carafe_bench_begin() {
    marker!("r8", "s2", "l0");
}

/// The measured inference has ended.
#[inline(never)]
#[allow(unsafe_code, reason = "the name is unique: nothing else is called so")]
#[unsafe(no_mangle)]
pub extern "C" fn carafe_bench_end() {
    marker!("r9", "s3", "l1");
}

/// Stands for the two above where nothing is to be seen from outside.
#[inline(never)]
extern "C" fn unmarked() {
    marker!("r10", "s4", "l2");
}

/// Does something in a stack frame of its own. Gives the bytes of stack that it took.
pub fn stack_of(work: &mut dyn FnMut()) -> u32 {
    let painted = PaintedStack::paint();
    black_box(work)();
    painted.used()
}

/// Ticks of an inference, `carafe_bench_begin` and `carafe_bench_end` around it; and of nothing, counted in the same
/// way, to be subtracted.
pub fn count(timer: &Timer, inference: &mut dyn FnMut()) -> (u32, u32) {
    let nothing = timed(timer, unmarked, unmarked, &mut || {
        black_box(());
    });
    (timed(timer, carafe_bench_begin, carafe_bench_end, inference), nothing)
}

#[inline(never)]
fn timed(timer: &Timer, begin: extern "C" fn(), end: extern "C" fn(), work: &mut dyn FnMut()) -> u32 {
    let (begin, end, work) = (black_box(begin), black_box(end), black_box(work));
    let start = timer.now();
    begin();
    work();
    end();
    timer.now().wrapping_sub(start)
}

/// Bytes of input, some of which are fed already.
#[derive(Clone, Copy)]
pub struct Feed<'i> {
    bytes: &'i [u8],
    at: [usize; constants::INPUT_OFFSETS.len()],
}

impl<'i> Feed<'i> {
    /// Fills a buffer with the bytes that the model's golden check feeds.
    pub fn golden(buffer: &'i mut [u8]) -> Self {
        for (i, byte) in (0..).zip(buffer.iter_mut()) {
            *byte = carafe::blob::golden_byte(constants::SEED, i);
        }
        Self { bytes: buffer, at: constants::INPUT_OFFSETS }
    }

    /// The next `len` bytes of input `i`; none if there are not so many.
    pub fn next(&mut self, i: usize, len: usize) -> &'i [u8] {
        let Some(at) = self.at.get_mut(i) else { return &[] };
        let from = *at;
        *at = from.saturating_add(len);
        self.bytes.get(from..*at).unwrap_or(&[])
    }

    /// Writes the next bytes of input `i`, as many as `to` takes.
    pub fn fill(&mut self, i: usize, to: &mut [u8]) {
        carafe::typed::copy(&mut self.next(i, to.len()).iter(), to);
    }
}

/// CRC-32 (as zlib has it) bit by bit: slow, but without a table that would be taken for the runtime's.
#[inline(never)]
pub fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc ^ u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)))
    }) ^ u32::MAX
}
