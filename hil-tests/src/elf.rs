//! What a linked program takes of a board's flash.

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, SectionFlags, SectionKind, elf};

/// Bytes that a program takes of flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlashBytes {
    /// Code.
    pub text: u64,
    /// Constants, vectors included.
    pub rodata: u64,
    /// Initialised data: they lie in flash as well as in RAM.
    pub data: u64,
}

impl FlashBytes {
    /// Adds up the sections of an ELF file of 32 bits.
    ///
    /// # Errors
    /// It is no such file.
    pub fn of(elf: &[u8]) -> Result<Self, object::Error> {
        let file = ElfFile32::<Endianness>::parse(elf)?;
        let mut bytes = Self::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            if !has(elf::SHF_ALLOC) || section.kind() == SectionKind::UninitializedData {
                continue;
            }
            let of_kind = match (has(elf::SHF_EXECINSTR), has(elf::SHF_WRITE)) {
                (true, _) => &mut bytes.text,
                (false, true) => &mut bytes.data,
                (false, false) => &mut bytes.rodata,
            };
            *of_kind = of_kind.saturating_add(section.size());
        }
        Ok(bytes)
    }

    /// What is left without another program.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            text: self.text.saturating_sub(other.text),
            rodata: self.rodata.saturating_sub(other.rodata),
            data: self.data.saturating_sub(other.data),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.text.saturating_add(self.rodata).saturating_add(self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(FlashBytes::of(b"\x7fELF and nothing").is_err());
        assert!(FlashBytes::of(&[]).is_err());
    }
}
