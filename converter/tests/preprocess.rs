//! Images and sounds on their way to the input, and labels from tables.

use std::path::{Path, PathBuf};

use carafe_converter::dataset::{Color, Dataset, Filter, InputSpec, Preprocess, Resize, ResizeTo, Table};
use carafe_graph::Layout;
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use tempfile::TempDir;

fn spec(shape: &[usize]) -> InputSpec {
    InputSpec { name: "x".into(), shape: shape.into(), layout: Layout::Nhwc }
}

fn save(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An image whose red is its column and whose green is its row.
fn picture(dir: &TempDir, name: &str, w: u32, h: u32) -> PathBuf {
    let image: RgbImage = ImageBuffer::from_fn(w, h, |x, y| Rgb([x as u8, y as u8, 200]));
    let path = dir.path().join(name);
    image.save(&path).unwrap();
    path
}

fn resize(filter: Filter, to: ResizeTo) -> Preprocess {
    Preprocess { resize: Some(Resize { filter, to }), ..Preprocess::default() }
}

fn floats(path: &Path, shape: &[usize], p: &Preprocess) -> Vec<f32> {
    Dataset::open(path, &spec(shape), p).unwrap().get(0).unwrap().as_f32().unwrap().to_vec()
}

fn refused(path: &Path, shape: &[usize], p: &Preprocess) -> String {
    let text = match Dataset::open(path, &spec(shape), p) {
        Err(e) => e.to_string(),
        Ok(set) => (0..set.len()).find_map(|i| set.get(i).err()).unwrap().to_string(),
    };
    assert!(text.contains(path.file_name().unwrap().to_str().unwrap()), "{text}");
    text
}

#[test]
fn the_short_side_is_resized_and_the_middle_cut_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = picture(&dir, "a.png", 40, 20);
    // 20 rows and 40 columns to 10 and 20; of these the middle 8 and 6.
    let p = Preprocess { crop: Some((8, 6)), ..resize(Filter::Area, ResizeTo::ShortSide(10)) };
    let got = floats(&path, &[1, 8, 6, 3], &p);
    // Column 7 of the small image is the mean of columns 14 and 15, row 1 that of rows 2 and 3; halves are rounded.
    assert!((got[0] - 14.5).abs() <= 0.5 && (got[1] - 2.5).abs() <= 0.5 && got[2] == 200.0, "{:?}", &got[..3]);
    let last = got.len() - 3;
    assert!((got[last] - 24.5).abs() <= 0.5 && (got[last + 1] - 16.5).abs() <= 0.5);
    // Standing instead of lying.
    let path = picture(&dir, "b.png", 20, 40);
    let p = Preprocess { crop: Some((6, 8)), ..resize(Filter::Area, ResizeTo::ShortSide(10)) };
    let got = floats(&path, &[1, 6, 8, 3], &p);
    assert!((got[0] - 2.5).abs() <= 0.5 && (got[1] - 14.5).abs() <= 0.5);
    // Cut out of an image as it is.
    let p = Preprocess { crop: Some((2, 4)), ..Preprocess::default() };
    assert_eq!(floats(&path, &[1, 2, 4, 3], &p)[..3], [8.0, 19.0, 200.0]);
}

#[test]
fn every_filter_brings_images_to_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = picture(&dir, "a.png", 200, 100);
    for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Area] {
        for to in [ResizeTo::Input, ResizeTo::Exact(25, 50)] {
            let got = floats(&path, &[1, 25, 50, 3], &resize(filter, to));
            // A ramp stays one, apart from its ends.
            for y in 3..22 {
                for x in 3..47 {
                    let pixel = &got[(y * 50 + x) * 3..][..3];
                    let want = [x as f32 * 4.0 + 1.5, y as f32 * 4.0 + 1.5, 200.0];
                    assert!(pixel.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1.0), "{filter:?} {pixel:?} {want:?}");
                }
            }
        }
    }
}

#[test]
fn colours_are_brought_to_the_order_of_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = picture(&dir, "a.png", 3, 2);
    let of = |color, shape: &[usize]| floats(&path, shape, &Preprocess { color, ..Preprocess::default() });
    assert_eq!(of(Color::Rgb, &[1, 2, 3, 3])[3..6], [1.0, 0.0, 200.0]);
    assert_eq!(of(Color::Bgr, &[1, 2, 3, 3])[3..6], [200.0, 0.0, 1.0]);
    let grey = of(Color::Grey, &[1, 2, 3, 3]);
    assert!(grey.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    let plane: Vec<f32> = grey.iter().step_by(3).copied().collect();
    for color in [Color::Rgb, Color::Bgr, Color::Grey] {
        assert_eq!(of(color, &[1, 2, 3, 1]), plane, "one channel is grey in any case");
    }
    // Mean and scale are in the order of the input's channels.
    let p = Preprocess { color: Color::Bgr, mean: vec![200.0, 0.0, 1.0], ..Preprocess::default() };
    assert_eq!(floats(&path, &[1, 2, 3, 3], &p)[3..6], [0.0; 3]);
    let nchw = InputSpec { name: "x".into(), shape: vec![1, 3, 2, 3], layout: Layout::Nchw };
    let sample = Dataset::open(&path, &nchw, &p).unwrap().get(0).unwrap();
    assert_eq!(sample.as_f32().unwrap()[..3], [0.0; 3]);
}

#[test]
fn images_of_another_size_are_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = picture(&dir, "cat.png", 50, 30);
    let shape = [1, 24, 24, 3];
    let text = refused(&path, &shape, &Preprocess::default());
    assert!(text.contains("[30, 50]") && text.contains("[24, 24, 3]") && text.contains("--resize bilinear"), "{text}");
    let text = refused(&path, &shape, &resize(Filter::Area, ResizeTo::ShortSide(24)));
    assert!(text.contains("24x40") && text.contains("--crop 24"), "{text}");
    let crop = |n| Preprocess { crop: Some((n, n)), ..Preprocess::default() };
    assert!(refused(&path, &shape, &crop(40)).contains("smaller than what is cut out"));
    assert!(refused(&path, &shape, &crop(20)).contains("--crop 24"));
    let p = Preprocess { crop: Some((24, 24)), ..resize(Filter::Area, ResizeTo::ShortSide(20)) };
    assert!(refused(&path, &shape, &p).contains("less than what is cut out"));
    assert!(floats(&path, &shape, &crop(24)).len() == 24 * 24 * 3);
}

#[test]
fn what_is_no_image_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let shape = [1, 4, 4, 3];
    let p = resize(Filter::Bilinear, ResizeTo::Input);
    for name in ["cat.jpg", "cat.png", "cat.bmp"] {
        let text = refused(&save(&dir, name, b"This is a text about a cat, not a picture of one."), &shape, &p);
        assert!(text.contains("can't be decoded") && text.contains("repair or remove"), "{text}");
        let text = refused(&save(&dir, name, b""), &shape, &p);
        assert!(text.contains("can't be decoded"), "{text}");
    }
    let text = refused(&save(&dir, "cat.txt", b"text"), &shape, &p);
    assert!(text.contains("not a kind of data"), "{text}");

    // One broken file in a folder of good ones: its header is whole, its pixels are not.
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4 {
        picture(&dir, &format!("{i}.jpg"), 64, 64);
    }
    let whole = std::fs::read(dir.path().join("2.jpg")).unwrap();
    save(&dir, "2.jpg", &whole[..whole.len() / 2]);
    let set = Dataset::open(dir.path(), &spec(&shape), &p);
    let text = match set {
        Err(e) => e.to_string(),
        Ok(set) => {
            let errors: Vec<String> = (0..4).filter_map(|i| set.get(i).err()).map(|e| e.to_string()).collect();
            assert_eq!(errors.len(), 1, "{errors:?}");
            errors[0].clone()
        }
    };
    assert!(text.contains("2.jpg") && text.contains("repair or remove"), "{text}");
}

#[test]
fn images_and_arrays_of_u8_are_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = picture(&dir, "a.png", 3, 2);
    let p = Preprocess { mean: vec![10.0], scale: vec![4.0], ..Preprocess::default() };
    let set = Dataset::open(&path, &spec(&[1, 2, 3, 3]), &p).unwrap();
    assert!(set.is_bytes() && set.is_images());
    let (raw, real) = (set.raw(0).unwrap(), set.get(0).unwrap());
    for (x, y) in raw.as_f32().unwrap().iter().zip(real.as_f32().unwrap()) {
        assert_eq!((x - 10.0) / 4.0, *y);
    }
    let header = |descr: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((text.len() as u16).to_le_bytes());
        out.extend(text.as_bytes());
        out
    };
    for (descr, size, bytes) in [("|u1", 1, true), ("|i1", 1, false), ("<f4", 4, false)] {
        let mut file = header(descr);
        file.extend(vec![1u8; 2 * size]);
        let dir = tempfile::tempdir().unwrap();
        let path = save(&dir, "x.npy", &file);
        let set = Dataset::open(&path, &spec(&[1, 2]), &Preprocess::default()).unwrap();
        assert_eq!(set.is_bytes(), bytes, "{descr}");
        let set = Dataset::open(dir.path(), &spec(&[1, 2]), &Preprocess::default()).unwrap();
        assert_eq!(set.is_bytes(), bytes, "a folder of {descr}");
        assert!(!set.is_images());
    }
}

fn wav(dir: &TempDir, name: &str, channels: u16, bits: u16, samples: &[i16]) -> PathBuf {
    let path = dir.path().join(name);
    let format =
        hound::WavSpec { channels, sample_rate: 16000, bits_per_sample: bits, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, format).unwrap();
    samples.iter().for_each(|&s| writer.write_sample(s).unwrap());
    writer.finalize().unwrap();
    path
}

#[test]
fn sounds_are_the_left_channel_from_minus_1_to_1() {
    let dir = tempfile::tempdir().unwrap();
    let none = Preprocess::default();
    let mono = wav(&dir, "a.wav", 1, 16, &[0, 16384, -32768]);
    assert_eq!(floats(&mono, &[1, 3], &none), [0.0, 0.5, -1.0]);
    let stereo = wav(&dir, "b.wav", 2, 16, &[1, 9, 2, 9, 3, 9]);
    assert_eq!(floats(&stereo, &[1, 3, 1], &none), [1.0, 2.0, 3.0].map(|x: f32| x / 32768.0));
    let set = Dataset::open(dir.path(), &spec(&[1, 3]), &none).unwrap();
    assert_eq!((set.len(), set.is_bytes()), (2, false));

    let text = refused(&mono, &[1, 4], &none);
    assert!(text.contains("[3]") && text.contains("cut the sound to 4 samples"), "{text}");
    assert!(refused(&mono, &[1, 49, 10, 1], &none).contains("features"));
    assert!(refused(&wav(&dir, "c.wav", 1, 8, &[1, 2, 3]), &[1, 3], &none).contains("16-bit"));
    assert!(refused(&save(&dir, "d.wav", b"no sound"), &[1, 3], &none).contains("can't be decoded"));
    let whole = std::fs::read(&mono).unwrap();
    assert!(refused(&save(&dir, "e.wav", &whole[..whole.len() - 2]), &[1, 3], &none).contains("can't be decoded"));
}

#[test]
fn tables_choose_files_and_label_them() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4u8 {
        ImageBuffer::from_fn(2, 2, |_, _| Luma([i])).save(dir.path().join(format!("{i}.png"))).unwrap();
    }
    let csv = save(
        &dir,
        "l.csv",
        b"file,split,label_a,label_b,name\nx/0.png,test,5,6,\"a, b\"\n3.png,calib,7,8,c\n2.png,test,9,10,d\n",
    );
    let open = || Dataset::open(dir.path(), &spec(&[1, 2, 2, 1]), &Preprocess::default()).unwrap();
    let table = |label: &str, split: Option<&str>| Table { label: Some(label.into()), split: split.map(str::to_owned) };
    let set = open().with_table(&csv, &table("label_b", Some("test"))).unwrap();
    assert_eq!((set.len(), set.labels().unwrap()), (2, [6, 10].as_slice()));
    assert_eq!(set.get(1).unwrap().as_f32().unwrap()[0], 2.0);
    let set = open().with_table(&csv, &table("label_a", None)).unwrap();
    assert_eq!(set.labels().unwrap(), [5, 9, 7]);

    let refused = |table: &Table, csv: &Path| {
        let text = open().with_table(csv, table).map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("l.csv"), "{text}");
        text
    };
    assert!(refused(&Table::default(), &csv).contains("several columns of labels"));
    assert!(refused(&table("class", None), &csv).contains("no column `class`"));
    assert!(refused(&table("name", None), &csv).contains("is no label"));
    assert!(refused(&table("label_a", Some("train")), &csv).contains("no row of split `train`"));
    assert!(refused(&Table::default(), &save(&dir, "l.csv", b"file,label\nz.png,1\n")).contains("names no file"));
    assert!(refused(&Table::default(), &save(&dir, "l.csv", b"file\n1.png\n")).contains("no column `label`"));
    assert!(refused(&Table::default(), &save(&dir, "l.csv", b"file,label\n1.png\n")).contains("is no table"));
    save(&dir, "l.csv", b"file,label\n1.png,3\n");
    assert_eq!(open().with_table(&csv, &Table::default()).unwrap().labels().unwrap(), [3]);
}
