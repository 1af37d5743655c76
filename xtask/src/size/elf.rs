//! What a linked program holds, as far as flash is concerned.

use anyhow::{Context, Result};
use carafe_hil::elf::FlashBytes;
use object::read::elf::ElfFile32;
use object::{Architecture, Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// A linked program.
#[derive(Debug)]
pub struct Program {
    /// What it takes of flash.
    pub flash: FlashBytes,
    /// Functions and constants that have a name and a length.
    pub symbols: Vec<Symbol>,
    /// Places in the code from which another is called.
    calls: Vec<Call>,
}

/// A function or a constant.
#[derive(Debug)]
pub struct Symbol {
    /// Its name as written in the source.
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// Its length.
    pub bytes: u64,
}

#[derive(Debug)]
struct Call {
    from: u64,
    to: u64,
}

impl Program {
    /// Reads an ELF file of 32 bits.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file = ElfFile32::<Endianness>::parse(bytes).context("not an ELF file of 32 bits")?;
        let flash = FlashBytes::of(bytes).context("not an ELF file of 32 bits")?;
        let mut calls = Vec::new();
        for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
            let code = section.data().context("a section without its bytes")?;
            calls.extend(match file.architecture() {
                Architecture::Arm => thumb_calls(section.address(), code),
                Architecture::Riscv32 => riscv_calls(section.address(), code),
                _ => Vec::new(),
            });
        }
        let symbols = file
            .symbols()
            .filter(|symbol| symbol.is_definition() && symbol.size() > 0)
            .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
            .filter_map(|symbol| {
                let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
                // Bit 0 of a function's address says that it is Thumb code.
                let address = if symbol.kind() == SymbolKind::Text { symbol.address() & !1 } else { symbol.address() };
                Some(Symbol { name, address, bytes: symbol.size() })
            })
            .collect();
        Ok(Self { flash, symbols, calls })
    }

    /// The functions that call the one at `address`, each once. Calls through pointers are not seen.
    pub fn callers(&self, address: u64) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .calls
            .iter()
            .filter(|call| call.to == address)
            .filter_map(|call| {
                self.symbols.iter().find(|s| s.address <= call.from && call.from < s.address.saturating_add(s.bytes))
            })
            .map(|symbol| symbol.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The direct calls and far jumps (`BL` and `B.W`) in Thumb code. A constant between functions may look like one; its
/// target is then hardly ever the beginning of a function.
fn thumb_calls(address: u64, code: &[u8]) -> Vec<Call> {
    let halves: Vec<u32> = code.chunks_exact(2).map(|half| u32::from(u16::from_le_bytes([half[0], half[1]]))).collect();
    (address..)
        .step_by(2)
        .zip(halves.windows(2))
        .filter_map(|(from, pair)| {
            let offset = branch_offset(pair[0], pair[1])?;
            Some(Call { from, to: from.checked_add(4)?.checked_add_signed(offset)? })
        })
        .collect()
}

/// Where `BL` (encoding T1) or `B.W` (encoding T4) leads, from 4 bytes behind its beginning.
fn branch_offset(first: u32, second: u32) -> Option<i64> {
    if first & 0xF800 != 0xF000 || second & 0x9000 != 0x9000 {
        return None;
    }
    let bit = |word: u32, n: u32| (word >> n) & 1;
    let s = bit(first, 10);
    let (i1, i2) = (1 ^ bit(second, 13) ^ s, 1 ^ bit(second, 11) ^ s);
    let offset = s << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1;
    // 25 bits with sign.
    Some(i64::from((offset << 7).cast_signed() >> 7))
}

/// The direct calls and far jumps (`JAL`, `C.JAL`, `C.J`) in code of RV32, which the linker makes of longer ones. As in
/// [`thumb_calls`], a constant may look like one.
fn riscv_calls(address: u64, code: &[u8]) -> Vec<Call> {
    let halves: Vec<u32> = code.chunks_exact(2).map(|half| u32::from(u16::from_le_bytes([half[0], half[1]]))).collect();
    (address..)
        .step_by(2)
        .zip(0..)
        .zip(&halves)
        .filter_map(|((from, i), &first)| {
            let offset = jump_offset(first, halves.get(i + 1).copied().unwrap_or(0))?;
            Some(Call { from, to: from.checked_add_signed(offset)? })
        })
        .collect()
}

/// Where `JAL`, or `C.JAL` or `C.J`, leads, from its beginning.
fn jump_offset(first: u32, second: u32) -> Option<i64> {
    let word = second << 16 | first;
    let bits = |from: u32, count: u32, to: u32| ((word >> from) & ((1 << count) - 1)) << to;
    let (offset, length) = if first & 0x7F == 0x6F {
        (bits(31, 1, 20) | bits(12, 8, 12) | bits(20, 1, 11) | bits(21, 10, 1), 21)
    } else if first & 0x3 == 0x1 && matches!(first >> 13, 0b001 | 0b101) {
        let low = bits(11, 1, 4) | bits(3, 3, 1) | bits(7, 1, 6) | bits(6, 1, 7) | bits(2, 1, 5);
        (bits(12, 1, 11) | bits(8, 1, 10) | bits(9, 2, 8) | low, 12)
    } else {
        return None;
    };
    let unused = 32 - length;
    Some(i64::from((offset << unused).cast_signed() >> unused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_decoded() {
        // `bl` to itself, `bl` 8 bytes on, `b.w` 2 KB back, and a `movw` (no branch).
        assert_eq!(branch_offset(0xF7FF, 0xFFFE), Some(-4));
        assert_eq!(branch_offset(0xF000, 0xF804), Some(8));
        assert_eq!(branch_offset(0xF7FF, 0xBC00), Some(-2048));
        assert_eq!(branch_offset(0xF240, 0x1023), None);
        assert_eq!(branch_offset(0xF3FF, 0xD7FF), Some(16_777_214));
        assert_eq!(branch_offset(0xF400, 0xD000), Some(-16_777_216));
    }

    #[test]
    fn calls_are_found_wherever_they_stand() {
        let code = [0x00, 0xBF, 0x00, 0xF0, 0x04, 0xF8, 0x70, 0x47];
        let calls = thumb_calls(0x400, &code);
        assert_eq!(calls.iter().map(|call| (call.from, call.to)).collect::<Vec<_>>(), [(0x402, 0x40E)]);
    }

    #[test]
    fn jumps_of_risc_v_are_decoded() {
        // `jal ra, .+2048`, `jal ra, .-4`, `c.jal .+16`, `c.j .-2`, and an `addi` (no jump).
        assert_eq!(jump_offset(0x00EF, 0x0010), Some(2048));
        assert_eq!(jump_offset(0xF0EF, 0xFFDF), Some(-4));
        assert_eq!(jump_offset(0x2801, 0), Some(16));
        assert_eq!(jump_offset(0xBFFD, 0), Some(-2));
        assert_eq!(jump_offset(0x0513, 0x0010), None);
        let code = [0x01, 0x00, 0x01, 0x28];
        let calls = riscv_calls(0x400, &code);
        assert_eq!(calls.iter().map(|call| (call.from, call.to)).collect::<Vec<_>>(), [(0x402, 0x412)]);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(Program::parse(b"\x7fELF and nothing").is_err());
    }
}
