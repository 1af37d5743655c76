use crate::record::{Field, Record, record};

record! {
    /// How an image, an array or a sound becomes the first input, for tools on the host: a device gets its input ready
    /// made. Steps are in the order of the fields; `channels` pairs of f32 follow, mean and scale.
    pub struct PreprocessRecord {
        /// Filter that images are resized with. 0: none, they are not resized; 1: bilinear; 2: bicubic; 3: area.
        filter: u8,
        /// Colours of an image's channels. 0: RGB, or grey if there is one channel; 1: BGR; 2: grey in every channel.
        color: u8,
        /// Order of the axes of stored arrays of four axes. 0: channels last; 1: channels first.
        layout: u8,
        /// Pairs of mean and scale: 0 (mean 0, scale 1), 1 (for all channels), or one a channel.
        channels: u8,
        /// Rows that images are resized to; the shorter side if `resize_w` is 0.
        resize_h: u16,
        /// Columns that images are resized to, or 0: they keep their proportions.
        resize_w: u16,
        /// Rows that are cut out of the middle then, or 0: all.
        crop_h: u16,
        /// Columns that are cut out of the middle then, or 0: all.
        crop_w: u16,
    }
}

/// The section: its record, and mean and scale per channel.
#[derive(Clone, Copy, Debug)]
pub struct StoredPreprocess<'m> {
    record: PreprocessRecord,
    numbers: &'m [u8],
}

impl<'m> StoredPreprocess<'m> {
    /// Reads a section; `None` if its length is not what its record says.
    pub fn read(section: &'m [u8]) -> Option<Self> {
        let record = PreprocessRecord::read(section)?;
        let numbers = section.get(PreprocessRecord::SIZE..)?;
        (numbers.len() == usize::from(record.channels) * 8).then_some(Self { record, numbers })
    }

    /// All but the numbers.
    pub fn record(&self) -> &PreprocessRecord {
        &self.record
    }

    /// Mean and scale of channel `c`: an input value is `(x − mean) / scale`.
    pub fn normalization(&self, c: usize) -> (f32, f32) {
        let pair = match self.record.channels {
            0 => return (0.0, 1.0),
            1 => 0,
            _ => c,
        };
        let number = |i: usize| f32::get(self.numbers, pair.checked_mul(8)?.checked_add(i)?);
        match (number(0), number(4)) {
            (Some(mean), Some(scale)) => (mean, scale),
            _ => (0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_record() {
        let record = PreprocessRecord {
            filter: 1,
            color: 2,
            layout: 0,
            channels: 2,
            resize_h: 256,
            resize_w: 0,
            crop_h: 224,
            crop_w: 224,
        };
        let mut bytes = [0u8; 28];
        assert_eq!((record.write(&mut bytes), PreprocessRecord::SIZE), (Some(12), 12));
        for (to, x) in bytes[12..].chunks_mut(4).zip([1.5f32, 2.0, -3.0, 4.0]) {
            to.copy_from_slice(&x.to_le_bytes());
        }
        let stored = StoredPreprocess::read(&bytes).unwrap();
        assert_eq!(*stored.record(), record);
        assert_eq!([0, 1, 2].map(|c| stored.normalization(c)), [(1.5, 2.0), (-3.0, 4.0), (0.0, 1.0)]);
        assert!(StoredPreprocess::read(&bytes[..27]).is_none());
        bytes[3] = 0;
        assert!(StoredPreprocess::read(&bytes).is_none());
        assert_eq!(StoredPreprocess::read(&bytes[..12]).unwrap().normalization(7), (0.0, 1.0));
        bytes[3] = 1;
        assert_eq!(StoredPreprocess::read(&bytes[..20]).unwrap().normalization(7), (1.5, 2.0));
    }
}
