//! A timer that tells single instructions apart: under QEMU's `-icount shift=6` each takes 64 ns, longer than a tick of
//! any of these.

#[cfg(not(feature = "mps3-an547"))]
mod cmsdk;
#[cfg(feature = "mps3-an547")]
mod sse;

#[cfg(not(feature = "mps3-an547"))]
pub use cmsdk::Timer;
#[cfg(all(feature = "log", not(feature = "mps3-an547")))]
pub use cmsdk::ticks;
#[cfg(feature = "mps3-an547")]
pub use sse::Timer;
#[cfg(all(feature = "log", feature = "mps3-an547"))]
pub use sse::ticks;
