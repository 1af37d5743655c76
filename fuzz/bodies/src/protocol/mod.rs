//! Bytes on the wire, for both its ends and for the frames between. The first byte says which.

mod board;
mod host;
mod script;
mod wire;

use crate::Bytes;

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The board was told to leave, or the link failed.
    Left,
    /// The board was told to forget its model, or to take another.
    Told,
    /// The board has kept its model, and computes.
    Kept,
    /// The host was answered to the end, or was told why not.
    Host,
    /// Frames were taken apart.
    Wire,
}

/// Neither end panics or hangs, and the board computes afterwards.
pub fn check(data: &[u8]) -> End {
    let mut bytes = Bytes::new(data);
    match bytes.below(4) {
        0 | 1 => board::check(&mut bytes),
        2 => host::check(&mut bytes),
        _ => wire::check(&mut bytes),
    }
}
