//! What is where in a slot, and how it is read after anything may have happened.

use carafe::blob::Crc;

/// The largest word that flash may have: what can only be written as a whole.
pub const MAX_WORD: usize = 32;
/// Bytes of a slot before its model.
pub const HEADER_BYTES: u32 = 256;
/// Starts that a new model gets to be confirmed.
pub const TRIALS: u8 = 3;

/// Words for trials, and as many for confirmations: each start can leave one half written.
const FIRST_TRIAL: u32 = 1;
const FIRST_GOOD: u32 = FIRST_TRIAL + TRIALS as u32;
const REJECTED: u32 = FIRST_GOOD + TRIALS as u32;
/// Bytes of a mark and of a manifest that mean something.
pub(crate) const MARK_BYTES: usize = 8;
pub(crate) const MANIFEST_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"CSLT";
const VERSION: u32 = 1;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const BOTH: [Self; 2] = [Slot::A, Slot::B];

    /// 0 or 1.
    pub const fn index(self) -> u8 {
        match self {
            Slot::A => 0,
            Slot::B => 1,
        }
    }

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// How far a slot's model has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// There is none, or not all of it.
    Empty,
    /// It has been started so often, and is not confirmed.
    Trial(u8),
    /// It is confirmed.
    Good,
    /// It is not started any more.
    Rejected(Reason),
}

/// Why a model was not taken, or is not started any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// Power failed while it was written down.
    Unknown = 0,
    /// [`TRIALS`] starts, and no confirmation.
    Trials = 1,
    /// The host asked for the old one.
    Reverted = 2,
    /// Its bytes are not those that were written.
    Crc = 3,
    /// It does not verify.
    Blob = 4,
    /// It needs more memory than there is.
    Memory = 5,
    /// It has no golden check.
    NoGolden = 6,
    /// It gives other bits than the golden check wants, or does not run.
    Golden = 7,
    /// It is not signed, or its signature is of another key or does not fit.
    Signature = 8,
    /// The flash did not do what it was told.
    Flash = 9,
}

impl Reason {
    const ALL: [Self; 10] = [
        Reason::Unknown,
        Reason::Trials,
        Reason::Reverted,
        Reason::Crc,
        Reason::Blob,
        Reason::Memory,
        Reason::NoGolden,
        Reason::Golden,
        Reason::Signature,
        Reason::Flash,
    ];

    pub(crate) fn of(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Reason::Unknown)
    }
}

/// What a slot's manifest says, and its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Content {
    /// Counts installations: of two models the one with the larger number is newer.
    pub sequence: u32,
    /// Bytes of the model, with what is behind it.
    pub len: u32,
    /// CRC-32 of all of them.
    pub crc: u32,
    /// See [`State`]; never [`State::Empty`].
    pub state: State,
    /// The manifest's own, to which its marks belong.
    pub(crate) seal: u32,
}

/// A mark, and which of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Trial(u8),
    Good(u8),
    Rejected(Reason),
}

/// What a mark's word holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Blank,
    /// With what it says beside.
    Valid(u8),
    /// Neither: a write or an erasure was cut off, or it is another manifest's.
    Torn,
}

impl Mark {
    /// Where it stands in the slot.
    pub fn offset(self) -> u32 {
        let word = match self {
            Mark::Trial(n) => FIRST_TRIAL + u32::from(n),
            Mark::Good(n) => FIRST_GOOD + u32::from(n),
            Mark::Rejected(_) => REJECTED,
        };
        word * MAX_WORD as u32
    }

    fn kind(self) -> u8 {
        match self {
            Mark::Trial(_) => b'T',
            Mark::Good(_) => b'G',
            Mark::Rejected(_) => b'R',
        }
    }

    /// Its bytes: kind, what it says, and a checksum over both and the manifest it belongs to.
    #[inline(never)]
    pub fn bytes(self, seal: u32) -> [u8; MARK_BYTES] {
        let says = match self {
            Mark::Trial(n) | Mark::Good(n) => n,
            Mark::Rejected(reason) => reason as u8,
        };
        let [s0, s1, s2, s3] = seal.to_le_bytes();
        let [c0, c1, c2, c3] = Crc::of(&[self.kind(), says, s0, s1, s2, s3]).to_le_bytes();
        [self.kind(), says, 0, 0, c0, c1, c2, c3]
    }

    /// What is found where it should stand.
    #[inline(never)]
    pub fn read(self, found: &[u8], seal: u32) -> Word {
        if found.iter().all(|byte| *byte == 0xFF) {
            return Word::Blank;
        }
        let says = found.get(1).copied().unwrap_or(0);
        let like = match self {
            Mark::Rejected(_) => Mark::Rejected(Reason::of(says)),
            other => other,
        };
        match found.get(..MARK_BYTES) {
            Some(found) if *found == like.bytes(seal) => Word::Valid(says),
            _ => Word::Torn,
        }
    }
}

/// Writes a manifest.
pub(crate) fn manifest(sequence: u32, len: u32, crc: u32) -> [u8; MANIFEST_BYTES] {
    let mut bytes = [0; MANIFEST_BYTES];
    let fields = [u32::from_le_bytes(MAGIC), VERSION, sequence, len, crc];
    let (words, _) = bytes.as_chunks_mut::<4>();
    words.iter_mut().zip(fields).for_each(|(to, field)| *to = field.to_le_bytes());
    let (body, seal) = bytes.split_at_mut(MANIFEST_BYTES - 4);
    seal.copy_from_slice(&Crc::of(body).to_le_bytes());
    bytes
}

/// Reads a manifest, if it is whole, and none that is larger than its slot; its state is still to be found.
pub(crate) fn read_manifest(bytes: &[u8; MANIFEST_BYTES], most: u32) -> Option<Content> {
    let ([magic, version, sequence, len, crc, seal], []) = bytes.as_chunks::<4>() else { return None };
    let number = |field: &[u8; 4]| u32::from_le_bytes(*field);
    let body = bytes.get(..MANIFEST_BYTES - 4)?;
    let whole = *magic == MAGIC && number(version) == VERSION && number(seal) == Crc::of(body);
    let content = Content {
        sequence: number(sequence),
        len: number(len),
        crc: number(crc),
        state: State::Empty,
        seal: number(seal),
    };
    (whole && content.len > 0 && content.len <= most).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_belong_to_their_manifest() {
        let good = Mark::Good(1);
        assert_eq!(good.read(&good.bytes(7), 7), Word::Valid(1));
        assert_eq!(good.read(&good.bytes(7), 8), Word::Torn);
        assert_eq!(good.read(&[0xFF; MARK_BYTES], 7), Word::Blank);
        assert_eq!(Mark::Good(0).read(&good.bytes(7), 7), Word::Torn);
        for reason in Reason::ALL {
            let found = Mark::Rejected(Reason::Unknown).read(&Mark::Rejected(reason).bytes(7), 7);
            assert_eq!(found, Word::Valid(reason as u8));
            assert_eq!(Reason::of(reason as u8), reason);
        }
    }

    #[test]
    fn every_word_has_its_place() {
        let marks = [Mark::Trial(0), Mark::Trial(2), Mark::Good(0), Mark::Good(2), Mark::Rejected(Reason::Crc)];
        assert_eq!(marks.map(Mark::offset), [32, 96, 128, 192, 224]);
        assert_eq!(REJECTED * MAX_WORD as u32 + MAX_WORD as u32, HEADER_BYTES);
        let bytes = manifest(3, 100, 5);
        assert_eq!(read_manifest(&bytes, 100).map(|c| (c.sequence, c.len, c.crc)), Some((3, 100, 5)));
        assert_eq!(read_manifest(&bytes, 99), None);
        for i in 0..bytes.len() {
            let mut other = bytes;
            other[i] ^= 0x10;
            assert_eq!(read_manifest(&other, 100), None);
        }
    }
}
