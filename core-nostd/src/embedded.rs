//! A blob that was verified when the program that holds it was compiled. For `carafe_macros::include_model!` alone.

use crate::blob::{MAGIC, section};
use crate::model::field;
use crate::{BlobError, Model, Registry};

/// This crate's version: another may verify, or read, by other rules.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Stops the compiler unless the `carafe` that has verified a blob is the one that will run it.
pub const fn verified_by(version: &str) {
    let (mut ours, mut theirs) = (VERSION.as_bytes(), version.as_bytes());
    while let ([a, rest @ ..], [b, others @ ..]) = (ours, theirs)
        && *a == *b
    {
        (ours, theirs) = (rest, others);
    }
    let same = ours.is_empty() && theirs.is_empty();
    assert!(same, "carafe and the carafe that carafe-macros verifies models with must be of one version");
}

impl<'m> Model<'m> {
    /// What [`Model::verify`] gives, of bytes that it has accepted before, with a registry that has the model's ops.
    ///
    /// Nothing is proven but that a blob is there. Of bytes that [`Model::verify`] would refuse, runs end in errors or give
    /// any numbers; what lies outside of the memory lent to them they neither read nor write, for all that takes a slice
    /// asks whether it exists. (With overflow checks, which release builds have not, they may panic.)
    ///
    /// # Errors
    /// [`BlobError::Magic`] where no blob is, as in flash that has not been written.
    #[doc(hidden)]
    #[inline]
    pub fn embedded(bytes: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        let mut model = Self {
            blob: bytes,
            registry,
            count: 0,
            nodes: &[],
            tensors: &[],
            buffers: &[],
            segments: &[],
            consts: &[],
        };
        match model.find() {
            Some(()) => Ok(model),
            None => Err(absent()),
        }
    }

    /// Looks up what is asked for at every step.
    #[inline(never)]
    fn find(&mut self) -> Option<()> {
        (self.size(field::MAGIC) == MAGIC).then_some(())?;
        self.count = self.count(field::NODES);
        self.nodes = self.section(section::NODES);
        self.tensors = self.section(section::TENSORS).as_chunks().0;
        self.buffers = self.section(section::BUFFERS).as_chunks().0;
        self.segments = self.section(section::SEGMENTS).as_chunks().0;
        self.consts = self.section(section::CONSTS);
        Some(())
    }
}

/// Not to be looked into: of a `Result` of which only the first byte of an error is written, the rest is moved by `memcpy`.
#[cold]
#[inline(never)]
fn absent() -> BlobError {
    BlobError::Magic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_verifies_and_runs() {
        verified_by(VERSION);
        let others = ["", "0", &VERSION[1..], &VERSION[..VERSION.len() - 1], &std::format!("{VERSION}0")];
        for other in others {
            assert!(std::panic::catch_unwind(|| verified_by(other)).is_err(), "{other}");
        }
    }
}
