use crate::TensorInfo;
use crate::arena::{Left, Pieces};

/// Rows of a tensor, in at most two pieces (a ring may wrap once).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a> {
    first: &'a [u8],
    second: &'a [u8],
    /// Row that `first` begins with.
    y0: u16,
    /// Row that `second` begins with.
    split: u16,
    row_stride: u32,
    pixel_stride: u16,
    channels: u16,
}

/// Bytes from the first element of a row to behind its last: where rows have pixels at all.
#[inline]
fn row_span(row_stride: u32, pixel_stride: u16, channels: u16) -> usize {
    row_stride.wrapping_sub(u32::from(pixel_stride)).wrapping_add(u32::from(channels)) as usize
}

impl<'a> Rows<'a> {
    pub(crate) fn new(first: &'a [u8], second: &'a [u8], p: &Pieces, t: &TensorInfo) -> Self {
        Self {
            first,
            second,
            y0: p.y0,
            split: p.split,
            row_stride: t.row_stride() as u32,
            pixel_stride: t.pixel_stride,
            channels: t.c,
        }
    }

    #[inline]
    fn row_span(&self) -> usize {
        row_span(self.row_stride, self.pixel_stride, self.channels)
    }

    /// Pieces of a tensor. `None` if they are not free.
    #[inline]
    pub(crate) fn lend(&mut self, free: &Left<'a, '_>, p: &Pieces, t: &TensorInfo) -> Option<()> {
        *self = Self::new(free.read(p.first.clone())?, free.read(p.second.clone())?, p, t);
        Some(())
    }

    /// Row `y` of the tensor, from its first element to behind its last; `None` if it is not among the rows lent.
    #[inline(never)]
    pub fn row(&self, y: u16) -> Option<&'a [u8]> {
        let (piece, from) = if y >= self.split { (self.second, self.split) } else { (self.first, self.y0) };
        let at = usize::from(y.checked_sub(from)?).checked_mul(self.row_stride as usize)?;
        piece.get(at..at.checked_add(self.row_span())?)
    }

    /// Rows `y..y1` as far as they lie next to each other, and where they end; `None` if they are not among the rows lent.
    #[inline(never)]
    pub fn rest(&self, y: u16, y1: u16) -> Option<(&'a [u8], u16)> {
        let (piece, from, end) =
            if y >= self.split { (self.second, self.split, y1) } else { (self.first, self.y0, y1.min(self.split)) };
        let stride = self.row_stride as usize;
        let at = usize::from(y.checked_sub(from)?).checked_mul(stride)?;
        let length =
            usize::from(end.checked_sub(y)?.checked_sub(1)?).checked_mul(stride)?.checked_add(self.row_span())?;
        Some((piece.get(at..)?.get(..length)?, end))
    }

    /// Rows `y0..y1`, from the first element to behind the last; `None` if they are not all in one piece.
    #[inline(never)]
    pub fn band(&self, y0: u16, y1: u16) -> Option<&'a [u8]> {
        let (piece, from) = if y0 >= self.split { (self.second, self.split) } else { (self.first, self.y0) };
        let stride = self.row_stride();
        let at = usize::from(y0.checked_sub(from)?).checked_mul(stride)?;
        let rows = usize::from(y1.checked_sub(y0)?.checked_sub(1)?);
        piece.get(at..at.checked_add(rows.checked_mul(stride)?)?.checked_add(self.row_span())?)
    }

    /// Bytes from row to row.
    #[inline]
    pub fn row_stride(&self) -> usize {
        self.row_stride as usize
    }

    /// The pixels of row `y`, left to right; none if the row is not among the rows lent.
    #[inline]
    pub fn pixels(&self, y: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let n = self.channels();
        self.row(y).unwrap_or(&[]).chunks(self.pixel_stride().max(1)).map(move |p| p.get(..n).unwrap_or(p))
    }

    /// `n` bytes of row `y` from column `x` on; `None` if they are not among the rows lent.
    pub fn run(&self, y: u16, x: u16, n: usize) -> Option<&'a [u8]> {
        self.row(y)?.get(usize::from(x) * self.pixel_stride()..)?.get(..n)
    }

    /// Bytes from pixel to pixel.
    #[inline]
    pub fn pixel_stride(&self) -> usize {
        usize::from(self.pixel_stride)
    }

    /// Channels of a pixel.
    #[inline]
    pub fn channels(&self) -> usize {
        usize::from(self.channels)
    }

    /// First row lent.
    pub fn y0(&self) -> u16 {
        self.y0
    }

    /// True if pixels lie without gaps, so that `row` is all channels of all pixels.
    #[inline]
    pub fn contiguous(&self) -> bool {
        self.pixel_stride == self.channels
    }
}

/// What [`RowsMut::each`] calls: row, column, bytes.
pub type OnPixels<'f> = dyn FnMut(u16, u16, &mut [u8]) -> Option<()> + 'f;

/// The band of a result. It never wraps.
#[derive(Debug, Default)]
pub struct RowsMut<'a> {
    data: &'a mut [u8],
    y0: u16,
    row_stride: u32,
    pixel_stride: u16,
    channels: u16,
}

impl<'a> RowsMut<'a> {
    pub(crate) fn new(data: &'a mut [u8], y0: u16, t: &TensorInfo) -> Self {
        Self { data, y0, row_stride: t.row_stride() as u32, pixel_stride: t.pixel_stride, channels: t.c }
    }

    #[inline]
    fn row_span(&self) -> usize {
        row_span(self.row_stride, self.pixel_stride, self.channels)
    }

    /// The bytes of the band, from its first element on.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.data
    }

    /// The byte of [`RowsMut::bytes`] where the band's row `y` begins; `None` if it lies before the band.
    pub fn byte(&self, y: u16) -> Option<usize> {
        usize::from(y.checked_sub(self.y0)?).checked_mul(self.row_stride as usize)
    }

    /// Row `y` of the tensor; `None` if it is not in the band.
    #[inline]
    pub fn row(&mut self, y: u16) -> Option<&mut [u8]> {
        let at = usize::from(y.checked_sub(self.y0)?).checked_mul(self.row_stride as usize)?;
        self.data.get_mut(at..at.checked_add(self.row_span())?)
    }

    /// Drops `n` bytes at the front of a band without gaps that still holds what was there before, moves the rest to the
    /// front, and gives the last `n` bytes, to be written.
    pub fn advance(&mut self, n: usize) -> Option<&mut [u8]> {
        let rest = self.data.len().checked_sub(n)?;
        // Piece by piece, apart from each other: `copy_within` would bring in a `memmove` for this alone.
        let mut left = &mut *self.data;
        while let Some((to, from)) = core::mem::take(&mut left).split_at_mut_checked(n.max(1)) {
            to.iter_mut().zip(from.iter()).for_each(|(to, from)| *to = *from);
            left = from;
        }
        self.data.get_mut(rest..)
    }

    /// Calls `f` with every pixel of rows `y0..y1`: its row, its column, its channels; or, if `join` is set, with as many
    /// pixels at once as lie next to each other. `None` as soon as `f` gives that.
    #[inline(never)]
    pub fn each(&mut self, (y0, y1): (u16, u16), join: bool, f: &mut OnPixels<'_>) -> Option<()> {
        let (mut n, mut stride) = (self.channels(), self.pixel_stride());
        if join && n == stride {
            (n, stride) = (self.row_span(), self.row_span());
        }
        for y in y0..y1 {
            for (x, pixel) in (0u16..).zip(self.row(y)?.chunks_mut(stride.max(1))) {
                f(y, x, pixel.get_mut(..n)?)?;
            }
        }
        Some(())
    }

    /// True if pixels lie without gaps.
    #[inline]
    pub fn contiguous(&self) -> bool {
        self.pixel_stride == self.channels
    }

    /// The pixels of row `y`, left to right; none if it is not in the band.
    #[inline]
    pub fn pixels(&mut self, y: u16) -> impl Iterator<Item = &mut [u8]> {
        let (n, stride) = (self.channels(), self.pixel_stride().max(1));
        self.row(y).unwrap_or_default().chunks_mut(stride).filter_map(move |p| p.get_mut(..n))
    }

    /// Bytes from pixel to pixel.
    #[inline]
    pub fn pixel_stride(&self) -> usize {
        usize::from(self.pixel_stride)
    }

    /// Channels of a pixel.
    #[inline]
    pub fn channels(&self) -> usize {
        usize::from(self.channels)
    }
}
