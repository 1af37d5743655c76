//! From stored numbers to what the model was trained with.

use carafe_graph::{Data, Layout, Tensor};

use super::{DatasetError, InputSpec, Resize};

/// The colours of an image's channels, where the input has three. Images for inputs with one channel become grey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Red, green, blue: what files hold, and most models are trained with.
    #[default]
    Rgb,
    /// Blue, green, red: models trained on images that OpenCV read.
    Bgr,
    /// Grey in every channel.
    Grey,
}

/// How stored data become input values, in this order: images are decoded, brought to the input's colours, resized and
/// cut, which gives the bytes that a camera would deliver; then every number becomes `(x − mean) · (1 / scale)` in f32,
/// as `ovc --mean_values --scale_values` has it. Arrays are brought to the input's layout, and normalised likewise.
///
/// Data that is stored quantized is expressed by its zero point and scale: `real = (x − zero_point) · s` is
/// `mean = zero_point`, `scale = 1 / s`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocess {
    /// Resize images; without it they must have the input's size (or that of [`Preprocess::crop`], or more).
    pub resize: Option<Resize>,
    /// Then cut so many rows and columns out of the middle.
    pub crop: Option<(u16, u16)>,
    /// Colours of images.
    pub color: Color,
    /// One number, or one a channel in the input's order (as [`Preprocess::color`] says, for images). Empty: 0.
    pub mean: Vec<f32>,
    /// One number, or one a channel; not 0. Empty: 1.
    pub scale: Vec<f32>,
    /// Layout of stored arrays of four axes (batch included), where it is not that of the input. Images need none.
    pub layout: Option<Layout>,
}

impl Preprocess {
    pub(super) fn check(&self, spec: &InputSpec) -> Result<(), DatasetError> {
        let wrong =
            |what: String| Err(DatasetError::Preprocess { input: spec.name.clone(), shape: spec.shape.clone(), what });
        if spec.shape.first() != Some(&1)
            || spec.shape.contains(&0)
            || carafe_graph::shape::elements(&spec.shape).is_none()
        {
            return wrong("data can be read only for an input with a batch axis of 1 and a known size".into());
        }
        let channels = spec.channels();
        for (list, what) in [(&self.mean, "mean"), (&self.scale, "scale")] {
            if list.len() > 1 && list.len() != channels {
                return wrong(format!(
                    "{} numbers as {what} for {channels} channels; give one, or one a channel",
                    list.len()
                ));
            }
            if list.iter().any(|x| !x.is_finite()) {
                return wrong(format!("{what} {list:?} is not finite"));
            }
        }
        if self.scale.iter().any(|s| *s == 0.0 || !s.recip().is_finite()) {
            return wrong(format!("scale {:?} can't be divided by", self.scale));
        }
        if self.mean.len().max(self.scale.len()) > usize::from(u8::MAX) {
            return wrong("there are at most 255 means and scales; give one for all channels".into());
        }
        if self.layout.is_some_and(|l| l != spec.layout) && spec.shape.len() != 4 {
            return wrong("a layout has a meaning only for inputs of four axes; leave it out".into());
        }
        Ok(())
    }

    /// Mean and scale of channel `c`.
    pub fn normalization(&self, c: usize) -> (f32, f32) {
        let nth = |list: &[f32], default: f32| match list {
            [] => default,
            [x] => *x,
            list => list.get(c).copied().unwrap_or(default),
        };
        (nth(&self.mean, 0.0), nth(&self.scale, 1.0))
    }

    /// Applies mean and scale. The index of an element that is not finite then, if there is one.
    pub(super) fn apply(&self, tensor: Tensor, spec: &InputSpec) -> Result<Tensor, usize> {
        let Data::F32(data) = &tensor.data else { return Ok(tensor) };
        let channels = spec.channels();
        // Elements between one channel and the next.
        let run = match (spec.layout, spec.shape.as_slice()) {
            (Layout::Nchw, [_, _, h, w]) => h * w,
            _ => 1,
        };
        let normalization = |c| self.normalization(c);
        let per_channel: Vec<(f32, f32)> = (0..channels).map(normalization).map(|(m, s)| (m, s.recip())).collect();
        let mut out = Vec::with_capacity(data.len());
        for (i, x) in data.iter().enumerate() {
            let (mean, factor) = per_channel[i / run % channels];
            let y = (x - mean) * factor;
            if !y.is_finite() {
                return Err(i);
            }
            out.push(y);
        }
        Ok(Tensor::f32(tensor.shape, out))
    }
}

/// A tensor of four axes in another layout, or `None` if it has not four axes of floats.
pub fn relayout(tensor: &Tensor, from: Layout, to: Layout) -> Option<Tensor> {
    let (&[n, a, b, c], data) = (tensor.shape.as_slice(), tensor.as_f32()?) else { return None };
    // Both directions move one axis past the two others: [a, b, c] to [c, a, b], or to [b, c, a].
    let (outer, inner, shape) = match (from, to) {
        (Layout::Nchw, Layout::Nhwc) => (a, b * c, [n, b, c, a]),
        (Layout::Nhwc, Layout::Nchw) => (a * b, c, [n, c, a, b]),
        _ => return Some(tensor.clone()),
    };
    let mut out = Vec::with_capacity(data.len());
    for sample in data.chunks_exact((outer * inner).max(1)) {
        for i in 0..inner {
            out.extend(sample.iter().skip(i).step_by(inner));
        }
    }
    Some(Tensor::f32(shape, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relayout_moves_channels_and_back() {
        let nchw = Tensor::f32([1, 2, 2, 3], (0..12).map(|x| x as f32).collect::<Vec<_>>());
        let nhwc = relayout(&nchw, Layout::Nchw, Layout::Nhwc).unwrap();
        assert_eq!(nhwc.shape, [1, 2, 3, 2]);
        assert_eq!(nhwc.as_f32().unwrap(), [0., 6., 1., 7., 2., 8., 3., 9., 4., 10., 5., 11.]);
        assert_eq!(relayout(&nhwc, Layout::Nhwc, Layout::Nchw).unwrap(), nchw);
        assert_eq!(relayout(&nchw, Layout::Nchw, Layout::Nchw).unwrap(), nchw);
        assert_eq!(relayout(&Tensor::f32([2], vec![0.0; 2]), Layout::Nchw, Layout::Nhwc), None);
    }

    #[test]
    fn means_and_scales_follow_the_channels_of_either_layout() {
        let p = Preprocess { mean: vec![1.0, 10.0], scale: vec![2.0], ..Preprocess::default() };
        let nhwc = InputSpec { name: "x".into(), shape: vec![1, 1, 2, 2], layout: Layout::Nhwc };
        let x = Tensor::f32([1, 1, 2, 2], vec![1.0, 10.0, 3.0, 14.0]);
        assert_eq!(p.apply(x, &nhwc).unwrap().as_f32().unwrap(), [0.0, 0.0, 1.0, 2.0]);
        let nchw = InputSpec { name: "x".into(), shape: vec![1, 2, 1, 2], layout: Layout::Nchw };
        let x = Tensor::f32([1, 2, 1, 2], vec![1.0, 3.0, 10.0, 14.0]);
        assert_eq!(p.apply(x, &nchw).unwrap().as_f32().unwrap(), [0.0, 1.0, 0.0, 2.0]);
    }
}
