//! Preprocessing in a blob: what `convert` was told, `run` and `eval` need not be told again.

use carafe::Model;
use carafe::blob::{PreprocessRecord, StoredPreprocess};
use carafe::record::Record;
use carafe_graph::Layout;

use super::{Color, Filter, Preprocess, Resize, ResizeTo};

impl Preprocess {
    /// What the blob says of its first input; the default where it says nothing, or is newer than this build.
    pub fn of_model(model: &Model<'_>) -> Self {
        model.preprocess().map(|s| Self::of_section(&s)).unwrap_or_default()
    }

    fn of_section(stored: &StoredPreprocess<'_>) -> Self {
        let r = stored.record();
        let filter = match r.filter {
            1 => Some(Filter::Bilinear),
            2 => Some(Filter::Bicubic),
            3 => Some(Filter::Area),
            _ => None,
        };
        let to = match (r.resize_h, r.resize_w) {
            (0, _) => ResizeTo::Input,
            (n, 0) => ResizeTo::ShortSide(n),
            (h, w) => ResizeTo::Exact(h, w),
        };
        let (mean, scale) = (0..usize::from(r.channels)).map(|c| stored.normalization(c)).unzip();
        Self {
            resize: filter.map(|filter| Resize { filter, to }),
            crop: (r.crop_h > 0 && r.crop_w > 0).then_some((r.crop_h, r.crop_w)),
            color: match r.color {
                1 => Color::Bgr,
                2 => Color::Grey,
                _ => Color::Rgb,
            },
            mean,
            scale,
            layout: (r.layout == 1).then_some(Layout::Nchw),
        }
    }

    /// The section of a blob, empty if it would say nothing. `layout` is that of the model's own input, which stored
    /// arrays have if nothing else was said; blobs have their channels last.
    pub(crate) fn to_section(&self, layout: Layout) -> Vec<u8> {
        let stored = Self { layout: None, ..self.clone() };
        let layout = self.layout.unwrap_or(layout);
        if stored == Self::default() && layout == Layout::Nhwc {
            return Vec::new();
        }
        let (resize_h, resize_w) = match self.resize.map(|r| r.to) {
            None | Some(ResizeTo::Input) => (0, 0),
            Some(ResizeTo::ShortSide(n)) => (n, 0),
            Some(ResizeTo::Exact(h, w)) => (h, w),
        };
        let (crop_h, crop_w) = self.crop.unwrap_or((0, 0));
        let channels = self.mean.len().max(self.scale.len());
        let record = PreprocessRecord {
            filter: match self.resize.map(|r| r.filter) {
                None => 0,
                Some(Filter::Bilinear) => 1,
                Some(Filter::Bicubic) => 2,
                Some(Filter::Area) => 3,
            },
            color: match self.color {
                Color::Rgb => 0,
                Color::Bgr => 1,
                Color::Grey => 2,
            },
            layout: u8::from(layout == Layout::Nchw),
            channels: u8::try_from(channels).unwrap_or(u8::MAX),
            resize_h,
            resize_w,
            crop_h,
            crop_w,
        };
        let mut out = vec![0; PreprocessRecord::SIZE];
        record.write(&mut out).expect("the buffer is as long as the record");
        for (mean, scale) in (0..usize::from(record.channels)).map(|c| self.normalization(c)) {
            out.extend(mean.to_le_bytes());
            out.extend(scale.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let all = Preprocess {
            resize: Some(Resize { filter: Filter::Bicubic, to: ResizeTo::ShortSide(256) }),
            crop: Some((224, 192)),
            color: Color::Bgr,
            mean: vec![123.7, 116.3, 103.5],
            scale: vec![58.4, 57.1, 57.4],
            layout: Some(Layout::Nchw),
        };
        let exact = Preprocess {
            resize: Some(Resize { filter: Filter::Area, to: ResizeTo::Exact(3, 4) }),
            color: Color::Grey,
            scale: vec![255.0],
            ..Preprocess::default()
        };
        let stretched = Preprocess {
            resize: Some(Resize { filter: Filter::Bilinear, to: ResizeTo::Input }),
            ..Preprocess::default()
        };
        for (p, size) in [(all, 36), (exact, 20), (stretched, 12)] {
            let section = p.to_section(Layout::Nhwc);
            assert_eq!(section.len(), size);
            let got = Preprocess::of_section(&StoredPreprocess::read(&section).unwrap());
            let mean = if p.mean.is_empty() && !p.scale.is_empty() { vec![0.0] } else { p.mean.clone() };
            assert_eq!(got, Preprocess { mean, ..p });
        }
    }

    #[test]
    fn the_default_takes_no_room_and_the_layout_is_that_of_the_data() {
        let p = Preprocess::default();
        assert!(p.to_section(Layout::Nhwc).is_empty());
        let read = |section: Vec<u8>| Preprocess::of_section(&StoredPreprocess::read(&section).unwrap()).layout;
        assert_eq!(read(p.to_section(Layout::Nchw)), Some(Layout::Nchw));
        let told = Preprocess { layout: Some(Layout::Nhwc), ..p };
        assert!(told.to_section(Layout::Nchw).is_empty());
    }
}
