//! Depthwise convolution, one pixel and one channel at a time, for cores that load, multiply and add one number at a time:
//! what counts is that nothing else is done. Each tap is two addresses, one of the operand and one of the weights, and the
//! channel is added to both.

#[cfg(not(carafe_m0))]
use core::marker::PhantomData;

use crate::put::Put;
#[cfg(not(carafe_m0))]
use crate::tile::finish;

/// Taps of a window at most.
pub const LISTED: usize = 64;

/// The taps of a window.
#[derive(Debug)]
pub struct Listed<'a, 'l> {
    /// The addresses of each, in the operand and in the weights.
    #[cfg(carafe_m0)]
    list: &'l mut [u32],
    #[cfg(carafe_m0)]
    lent: core::marker::PhantomData<&'a [u8]>,
    #[cfg(not(carafe_m0))]
    list: [[&'a [u8]; 2]; LISTED],
    #[cfg(not(carafe_m0))]
    lent: PhantomData<&'l mut [u32]>,
    count: usize,
    /// Bytes of the shortest of the operand, and of the weights.
    room: [usize; 2],
}

impl<'a, 'l> Listed<'a, 'l> {
    /// No taps. `list` has two words for each.
    pub fn new(list: &'l mut [u32]) -> Self {
        #[cfg(carafe_m0)]
        return Self { list, lent: core::marker::PhantomData, count: 0, room: [usize::MAX; 2] };
        #[cfg(not(carafe_m0))]
        {
            let _ = list;
            Self { list: [[&[]; 2]; LISTED], lent: PhantomData, count: 0, room: [usize::MAX; 2] }
        }
    }

    /// Forgets all taps.
    pub fn clear(&mut self) {
        (self.count, self.room) = (0, [usize::MAX; 2]);
    }

    /// The next tap; `None` if there is no room for more, or there are [`LISTED`].
    #[inline]
    pub fn push(&mut self, x: &'a [u8], weights: &'a [u8]) -> Option<()> {
        let tap = [x, weights];
        #[cfg(carafe_m0)]
        {
            let list = self.list.as_chunks_mut::<2>().0;
            *list.get_mut(self.count).filter(|_| self.count < LISTED)? =
                tap.map(|tap| tap.as_ptr().expose_provenance() as u32);
        }
        #[cfg(not(carafe_m0))]
        {
            *self.list.get_mut(self.count)? = tap;
        }
        self.count += 1;
        for (room, tap) in self.room.iter_mut().zip(tap) {
            *room = (*room).min(tap.len());
        }
        Some(())
    }

    /// Moves the window by so many bytes of the operand. `None` if a tap is too short.
    pub fn advance(&mut self, bytes: usize) -> Option<()> {
        let [room, _] = &mut self.room;
        *room = room.checked_sub(bytes)?;
        #[cfg(carafe_m0)]
        for [x, _] in self.list.as_chunks_mut::<2>().0.iter_mut().take(self.count) {
            *x = x.wrapping_add(bytes as u32);
        }
        #[cfg(not(carafe_m0))]
        for [x, _] in self.list.iter_mut().take(self.count) {
            *x = x.get(bytes..)?;
        }
        Some(())
    }

    /// Rescaled results of all channels of `channels` (bias and multiplier, i32). `put.at` is not used. `None` if anything
    /// is too short.
    pub fn run(&self, channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
        let count = channels.len() / 8;
        let [x, weights] = self.room;
        if count == 0 || self.count == 0 || count > x.min(weights).min(out.len()) {
            return None;
        }
        #[cfg(carafe_m0)]
        if let Some(list) = self.list.get(..2 * self.count)
            && crate::m0::depthwise(list, (channels, count), put, out)
        {
            return Some(());
        }
        self.run_portably(channels, put, out)
    }

    #[cfg(not(carafe_m0))]
    fn run_portably(&self, channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
        let taps = self.list.get(..self.count)?;
        for (c, (channel, out)) in channels.as_chunks::<8>().0.iter().zip(out).enumerate() {
            let mut acc = 0i32;
            for [x, w] in taps {
                acc = acc.wrapping_add(i32::from(*x.get(c)? as i8) * i32::from(*w.get(c)? as i8));
            }
            *out = finish(acc, channel, put);
        }
        Some(())
    }

    /// Parameters of channels that do not lie at a multiple of 4: [`crate::takes`] says so before.
    #[cfg(carafe_m0)]
    fn run_portably(&self, _: &[u8], _: &Put, _: &mut [u8]) -> Option<()> {
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn each_channel_is_a_sum_of_its_own(
            x in proptest::collection::vec(any::<u8>(), 60),
            w in proptest::collection::vec(any::<u8>(), 40),
            parameters in proptest::collection::vec(-(1i32 << 20)..1 << 20, 10),
            taps in 1usize..=4,
            moved in 0usize..10,
        ) {
            let channels: Vec<u8> = parameters.iter().flat_map(|p| p.to_le_bytes()).collect();
            let put = Put { zero_point: -5, shift: 2, at: [0; 2] };
            let mut list = Listed::new(&mut []);
            for tap in 0..taps {
                list.push(&x[10 * tap..], &w[10 * tap..]).unwrap();
            }
            list.advance(moved).unwrap();
            let mut out = [0; 5];
            prop_assert_eq!(list.run(&channels, &put, &mut out), Some(()));
            for (c, out) in out.iter().enumerate() {
                let product = |tap: usize| i32::from(x[10 * tap + moved + c] as i8) * i32::from(w[10 * tap + c] as i8);
                prop_assert_eq!(*out, finish((0..taps).map(product).sum(), &channels[8 * c..], &put));
            }
            prop_assert_eq!(list.run(&channels, &put, &mut [0; 4]), None);
            prop_assert_eq!(list.advance(61), None);
        }
    }
}
