//! Memory is a list of regions. Each has its addresses: the number of the region in the upper bits, the byte in the
//! lower ones. So a range says by itself where it lies, and what lends memory need not know how many regions there are.

use core::ops::Range;

use crate::blob::{BufferRecord, region};

/// Memory that one inference borrows, region by region. What is in it does not matter.
#[derive(Debug, Default)]
pub struct Memory<'r> {
    /// [`region::MAIN`]: [`crate::Model::arena_bytes`] bytes.
    pub main: &'r mut [u8],
    /// [`region::FAST`], e.g. tightly coupled memory: [`crate::Model::fast_bytes`] bytes.
    pub fast: &'r mut [u8],
}

impl<'r> Memory<'r> {
    /// One region: all that most models need.
    pub fn of(main: &'r mut [u8]) -> Self {
        Self { main, fast: &mut [] }
    }
}

impl BufferRecord {
    /// Address of its first byte: the region in the upper bits, the byte in the region in the lower ones.
    pub fn address(&self) -> u32 {
        region::address(self.region, self.offset)
    }
}

/// The regions of a run.
#[derive(Debug)]
pub(crate) struct Regions<'r> {
    /// The main one without its front.
    pub parts: [&'r mut [u8]; region::COUNT],
    /// Bytes at the front of the main region, which nobody borrows from here.
    pub front: usize,
}

impl<'r> Regions<'r> {
    /// The same, for a while.
    pub fn lend(&mut self) -> Regions<'_> {
        Regions { parts: self.parts.each_mut().map(|part| &mut **part), front: self.front }
    }

    /// The region of an address, and the range in it.
    #[inline]
    fn locate(&self, range: Range<usize>) -> (usize, Range<usize>) {
        let region = range.start >> region::BITS;
        let from = (range.start & region::MASK).wrapping_sub(if region == 0 { self.front } else { 0 });
        (region, from..from.wrapping_add(range.end.wrapping_sub(range.start)))
    }

    /// The bytes of a range of addresses; `None` if it reaches outside its region.
    #[inline(never)]
    pub fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        let (region, range) = self.locate(range);
        self.parts.get(region)?.get(range)
    }

    /// See [`Regions::get`].
    #[inline(never)]
    pub fn get_mut(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        let (region, range) = self.locate(range);
        self.parts.get_mut(region)?.get_mut(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_finds_its_region() {
        let (mut a, mut b, mut c) = ([1, 2, 3], [4, 5], [6]);
        let mut memory = Regions { parts: [&mut a, &mut b, &mut c], front: 0 };
        let at = |r, from, to| region::address(r, from) as usize..region::address(r, to) as usize;
        assert_eq!(memory.get(at(region::MAIN, 1, 3)), Some(&[2, 3][..]));
        assert_eq!(memory.get(at(region::FAST, 0, 2)), Some(&[4, 5][..]));
        assert_eq!(memory.get_mut(at(region::STATE, 0, 1)), Some(&mut [6][..]));
        assert_eq!(memory.get(at(region::MAIN, 1, 4)), None);
        assert_eq!(memory.get(at(region::STATE, 1, 2)), None);
        assert_eq!(memory.get(at(3, 0, 1)), None);
        memory.front = 1;
        assert_eq!((memory.get(at(region::MAIN, 1, 3)), memory.get(0..1)), (Some(&[1, 2][..]), None));
        assert_eq!(memory.get(at(region::FAST, 0, 2)), Some(&[4, 5][..]));
        memory.front = 0;
        // A range that ends in another region than it begins in lies outside its own.
        assert_eq!(memory.get(0..region::address(region::FAST, 1) as usize), None);
    }
}
