//! What the demo brings along and how it draws.

pub mod assets;
pub mod draw;
