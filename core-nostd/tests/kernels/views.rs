//! Ops that copy nothing.

use carafe::OpCode;
use proptest::prelude::*;

use crate::frame::{Frame, frame};
use crate::reference::{Map, map};
use crate::support::{Builder, Place, run};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Three parts, made as slices of the joined pixels; in a ring, all wrap together.
    #[test]
    fn joins(x in map(9, 4, 4), more in [1usize..5, 1usize..5], f in frame()) {
        let [h, w, c] = x.hwc;
        let widths = [c, more[0], more[1]];
        let wide: usize = widths.iter().sum();
        // One band for all, so that the ring is a multiple of it.
        let f = f.in_place();
        let rows = f.ring_in.map_or(0, |more| f.band * (1 + more));
        let mut b = Builder::default();
        let whole = Place { lead: f.lead[1] as u8, ..b.slice([h, w, wide], x.zero_point, rows, wide, 0) };
        let mut parts = Vec::new();
        let mut data = Vec::new();
        let mut offset = 0;
        for (k, &c) in widths.iter().enumerate() {
            let input = f.input(&mut b, [h, w, c], x.zero_point);
            parts.push(b.copy(input, Place { hwc: [h, w, c], offset, ..whole }, f.band));
            offset += c as u16;
            data.push(Map::make([h, w, c], |y, col, i| (y * 50 + col * 11 + i * 3 + k * 17) as i8));
        }
        let two = Place { hwc: [h, w, widths[0] + widths[1]], ..whole };
        let first = b.node(OpCode::Concat, vec![], &[parts[0], parts[1]], two, f.band);
        let joined = b.node(OpCode::Concat, vec![], &[first, parts[2]], whole, f.band);
        f.output(&mut b, joined, [h, w, wide], x.zero_point);
        let want = Map::make([h, w, wide], |y, col, i| {
            let (mut k, mut i) = (0, i);
            while i >= widths[k] {
                i -= widths[k];
                k += 1;
            }
            data[k][(y * w + col) * widths[k] + i]
        });
        prop_assert_eq!(run(&b.finish(), &data), Ok(vec![want]));
    }

    /// With equal rows a ring serves both; else the map is there as a whole.
    #[test]
    fn reshapes(x in map(6, 6, 6), f in frame(), which in 0usize..4) {
        let [h, w, c] = x.hwc;
        let to = [[h, w * c, 1], [h, 1, w * c], [1, 1, h * w * c], [w, h, c]][which];
        let mut b = Builder::default();
        let same = to[0] == h;
        let f = Frame { ring_in: f.ring_in.filter(|_| same), ..f.in_place() };
        let rows = f.ring_in.map_or(0, |more| f.band * (1 + more));
        let input = f.input(&mut b, x.hwc, x.zero_point);
        let place = Place { lead: f.lead[1] as u8, ..b.alone(x.hwc, x.zero_point, rows) };
        let copied = b.copy(input, place, f.before);
        let reshaped = b.node(OpCode::Reshape, vec![], &[copied], Place { hwc: to, pixel_stride: to[2], ..place }, f.band);
        f.output(&mut b, reshaped, to, x.zero_point);
        prop_assert_eq!(run(&b.finish(), std::slice::from_ref(&x.data)), Ok(vec![x.data.clone()]));
    }
}
