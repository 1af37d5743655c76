//! Where the taps of a window, or its lines, lie.

use core::marker::PhantomData;

/// Taps of a window at most.
pub const TAPS: usize = 26;

/// The operand from each of some taps (or lines) of a window on.
#[derive(Debug)]
pub struct Taps<'a, 'l> {
    /// The address of each.
    #[cfg(carafe_dsp)]
    list: &'l mut [u32],
    #[cfg(carafe_dsp)]
    lent: PhantomData<&'a [u8]>,
    #[cfg(not(carafe_dsp))]
    slices: [&'a [u8]; TAPS],
    #[cfg(not(carafe_dsp))]
    list: PhantomData<&'l mut [u32]>,
    count: usize,
    /// Bytes of the shortest.
    room: usize,
    /// Some lie in the padding.
    padded: bool,
}

impl<'a, 'l> Taps<'a, 'l> {
    /// Of no taps. `list` has a word for each, and one more if they are odd.
    pub fn new(list: &'l mut [u32]) -> Self {
        #[cfg(carafe_dsp)]
        return Self { list, lent: PhantomData, count: 0, room: usize::MAX, padded: false };
        #[cfg(not(carafe_dsp))]
        {
            let _ = list;
            Self { slices: [&[]; TAPS], list: PhantomData, count: 0, room: usize::MAX, padded: false }
        }
    }

    /// Forgets all taps.
    pub fn clear(&mut self) {
        (self.count, self.room, self.padded) = (0, usize::MAX, false);
    }

    /// The next tap; `None` if there is no room for more, or there are [`TAPS`].
    pub fn push(&mut self, tap: &'a [u8]) -> Option<()> {
        #[cfg(carafe_dsp)]
        {
            *self.list.get_mut(self.count)? = tap.as_ptr().expose_provenance() as u32;
        }
        #[cfg(not(carafe_dsp))]
        {
            *self.slices.get_mut(self.count)? = tap;
        }
        self.count += 1;
        self.room = self.room.min(tap.len());
        Some(())
    }

    /// A line that lies in the padding.
    pub fn pad(&mut self) -> Option<()> {
        let room = self.room;
        #[cfg(carafe_dsp)]
        {
            *self.list.get_mut(self.count)? = 0;
            self.count += 1;
        }
        #[cfg(not(carafe_dsp))]
        self.push(&[])?;
        (self.room, self.padded) = (room, true);
        Some(())
    }

    /// True if some lie in the padding.
    pub fn is_padded(&self) -> bool {
        self.padded
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes that are there from every tap on.
    pub fn room(&self) -> usize {
        self.room
    }

    /// The addresses.
    #[cfg(carafe_dsp)]
    pub(crate) fn addresses(&self) -> &[u32] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// The addresses, by two. A tap without a partner gets itself: the weights are zero.
    #[cfg(carafe_dsp)]
    pub(crate) fn paired(&mut self) -> Option<&[u32]> {
        if !self.count.is_multiple_of(2) {
            *self.list.get_mut(self.count)? = *self.list.get(self.count - 1)?;
        }
        self.list.get(..self.count.next_multiple_of(2))
    }

    #[cfg(not(carafe_dsp))]
    pub(crate) fn slices(&self) -> &[&'a [u8]] {
        self.slices.get(..self.count).unwrap_or(&self.slices)
    }
}
