//! Sums of two tensors.

/// How two tensors are added: `(a·multipliers[0] + b·multipliers[1] + constant) >> shift`, wrapping.
#[derive(Clone, Copy, Debug)]
pub struct Scaled {
    /// Of both operands.
    pub multipliers: [i32; 2],
    /// Zero points and rounding.
    pub constant: i32,
    /// At most 31.
    pub shift: u8,
}

/// a\[i\] = a\[i\] + b\[i\] as int8, saturated, over the shorter of the two.
pub fn add_scaled(a: &mut [u8], b: &[u8], s: &Scaled) {
    #[cfg(carafe_dsp)]
    crate::arm::add_scaled(a, b, s);
    #[cfg(not(carafe_dsp))]
    crate::wide(|| {
        for (a, &b) in a.iter_mut().zip(b) {
            let sum = i32::from(*a as i8)
                .wrapping_mul(s.multipliers[0])
                .wrapping_add(i32::from(b as i8).wrapping_mul(s.multipliers[1]))
                .wrapping_add(s.constant);
            *a = (sum >> (s.shift & 31)).clamp(-128, 127) as i8 as u8;
        }
    });
}

/// acc\[i\] += Σ x\[i\] over pixels of as many channels, each `step` bytes behind the one before.
#[inline(never)]
pub fn sum_pixels(acc: &mut [[u8; 4]], pixels: &[u8], step: usize) {
    #[cfg(carafe_mve)]
    if crate::mve::sum_pixels(acc, pixels, step) {
        return;
    }
    #[cfg(carafe_dsp)]
    if crate::arm::sum_pixels(acc, pixels, step) {
        return;
    }
    let mut pixels = pixels;
    // Four channels at a time: their sums stay in registers.
    for acc in acc.chunks_mut(4) {
        let mut sums = [0i32; 4];
        for pixel in pixels.chunks(step.max(1)) {
            for (sum, &x) in sums.iter_mut().zip(pixel.get(..acc.len()).unwrap_or_default()) {
                *sum = sum.wrapping_add(i32::from(x as i8));
            }
        }
        for (acc, sum) in acc.iter_mut().zip(sums) {
            *acc = i32::from_le_bytes(*acc).wrapping_add(sum).to_le_bytes();
        }
        pixels = pixels.get(4..).unwrap_or_default();
    }
}
