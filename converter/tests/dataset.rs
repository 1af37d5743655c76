//! Calibration and test data, from every kind of source.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use carafe_converter::dataset::{Dataset, DatasetError, InputSpec, Preprocess};
use carafe_graph::{Layout, Tensor};
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba};
use npyz::WriterBuilder;
use proptest::prelude::*;
use tempfile::TempDir;

fn spec(shape: &[usize]) -> InputSpec {
    InputSpec { name: "x".into(), shape: shape.into(), layout: Layout::Nhwc }
}

fn bytes<T: npyz::AutoSerialize + Copy>(shape: &[u64], data: &[T]) -> Vec<u8> {
    let mut out = vec![];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut out).begin_nd().unwrap();
    writer.extend(data.iter().copied()).unwrap();
    writer.finish().unwrap();
    out
}

fn save(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path, shape: &[usize]) -> Result<Dataset, DatasetError> {
    Dataset::open(path, &spec(shape), &Preprocess::default())
}

fn refused(path: &Path, shape: &[usize]) -> String {
    let text = open(path, shape).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains(path.file_name().unwrap().to_str().unwrap()), "{text}");
    text
}

fn floats(tensor: &Tensor) -> &[f32] {
    tensor.as_f32().unwrap()
}

#[test]
fn arrays_of_every_type() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: Vec<u8>, expected: [f32; 2]| {
        let set = open(&save(&dir, name, &bytes), &[1, 2]).unwrap();
        assert_eq!(set.len(), 2, "{name}");
        let sample = set.get(1).unwrap();
        assert_eq!(sample.shape, [1, 2]);
        assert_eq!(floats(&sample), expected, "{name}");
        assert_eq!(set.labels(), None);
    };
    check("u8.npy", bytes::<u8>(&[2, 2], &[1, 2, 3, 255]), [3.0, 255.0]);
    check("i8.npy", bytes::<i8>(&[2, 2], &[1, 2, 3, -128]), [3.0, -128.0]);
    check("u16.npy", bytes::<u16>(&[2, 2], &[1, 2, 3, 65535]), [3.0, 65535.0]);
    check("i16.npy", bytes::<i16>(&[2, 2], &[1, 2, 3, -32768]), [3.0, -32768.0]);
    check("i32.npy", bytes::<i32>(&[2, 2], &[1, 2, 3, -70000]), [3.0, -70000.0]);
    check("i64.npy", bytes::<i64>(&[2, 2], &[1, 2, 3, -70000]), [3.0, -70000.0]);
    check("f32.npy", bytes::<f32>(&[2, 2], &[1.0, 2.0, 3.5, -4.5]), [3.5, -4.5]);
    check("f64.npy", bytes::<f64>(&[2, 2], &[1.0, 2.0, 3.5, -4.5]), [3.5, -4.5]);
}

#[test]
fn arrays_of_every_rank_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<f32> = (0..24).map(|x| x as f32).collect();
    let count = |dims: &[u64], shape: &[usize]| open(&save(&dir, "x.npy", &bytes(dims, &data)), shape).map(|s| s.len());
    assert_eq!(count(&[4, 3, 2], &[1, 3, 2]).unwrap(), 4);
    assert_eq!(count(&[4, 3, 2], &[1, 4, 3, 2]).unwrap(), 1);
    assert_eq!(count(&[1, 4, 3, 2], &[1, 4, 3, 2]).unwrap(), 1);
    // Axes of extent one may be missing, or be there in addition.
    assert_eq!(count(&[4, 3, 2], &[1, 3, 2, 1]).unwrap(), 4);
    assert_eq!(count(&[4, 3, 2, 1], &[1, 3, 2]).unwrap(), 4);
    assert_eq!(count(&[24], &[1, 1]).unwrap(), 24);
    assert_eq!(count(&[24], &[1, 24]).unwrap(), 1);

    let text = count(&[4, 3, 2], &[1, 2, 3]).unwrap_err().to_string();
    assert!(text.contains("[4, 3, 2]") && text.contains("[N, 2, 3]") && text.contains("input `x`"), "{text}");
    let text = count(&[2, 3, 4, 1], &[1, 1, 4, 3]).unwrap_err().to_string();
    assert!(text.contains("does not fit"), "{text}");
    assert!(count(&[24], &[2, 12]).unwrap_err().to_string().contains("batch axis of 1"));
    let set = open(&save(&dir, "x.npy", &bytes(&[4, 3, 2], &data)), &[1, 3, 2]).unwrap();
    let text = set.get(4).unwrap_err().to_string();
    assert!(text.contains("no sample 4") && text.contains("last of 4 is 3"), "{text}");
    assert_eq!(floats(&set.get(3).unwrap()), [18., 19., 20., 21., 22., 23.]);
}

#[test]
fn data_of_another_layout_is_transposed() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..24).collect();
    // Two samples of 2 rows, 3 columns, 2 channels.
    let path = save(&dir, "x.npy", &bytes(&[2, 2, 3, 2], &data));
    let nchw = InputSpec { name: "x".into(), shape: vec![1, 2, 2, 3], layout: Layout::Nchw };
    let preprocess = Preprocess { layout: Some(Layout::Nhwc), ..Preprocess::default() };
    let sample = Dataset::open(&path, &nchw, &preprocess).unwrap().get(1).unwrap();
    assert_eq!(sample.shape, [1, 2, 2, 3]);
    assert_eq!(floats(&sample), [12., 14., 16., 18., 20., 22., 13., 15., 17., 19., 21., 23.]);
    let text = Dataset::open(&path, &nchw, &Preprocess::default()).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("--layout"), "{text}");

    let path = save(&dir, "y.npy", &bytes(&[2, 2, 2, 3], &data));
    let nhwc = InputSpec { name: "x".into(), shape: vec![1, 2, 3, 2], layout: Layout::Nhwc };
    let preprocess = Preprocess { layout: Some(Layout::Nchw), mean: vec![0.0, 6.0], ..Preprocess::default() };
    let sample = Dataset::open(&path, &nhwc, &preprocess).unwrap().get(0).unwrap();
    assert_eq!(floats(&sample), [0., 0., 1., 1., 2., 2., 3., 3., 4., 4., 5., 5.]);
}

#[test]
fn stored_integers_become_real_by_mean_and_scale() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(&dir, "x.npy", &bytes::<i8>(&[1, 3], &[83, 84, -128]));
    let preprocess = Preprocess { mean: vec![83.0], scale: vec![1.0 / 0.584_702_9], ..Preprocess::default() };
    let sample = Dataset::open(&path, &spec(&[1, 3]), &preprocess).unwrap().get(0).unwrap();
    for (got, want) in floats(&sample).iter().zip([0.0f32, 0.584_702_9, -123.372_31]) {
        assert!((got - want).abs() <= want.abs() * 3e-7, "{got} {want}");
    }
}

#[test]
fn preprocessing_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(&dir, "x.npy", &bytes::<f32>(&[1, 3], &[1.0, 2.0, 3.0]));
    let open = |p: Preprocess| Dataset::open(&path, &spec(&[1, 3]), &p).map(|_| ()).map_err(|e| e.to_string());
    assert!(open(Preprocess { mean: vec![1.0; 3], ..Default::default() }).is_ok());
    assert!(open(Preprocess { mean: vec![1.0; 2], ..Default::default() }).unwrap_err().contains("3 channels"));
    assert!(open(Preprocess { scale: vec![0.0], ..Default::default() }).unwrap_err().contains("divided"));
    assert!(open(Preprocess { scale: vec![f32::NAN], ..Default::default() }).unwrap_err().contains("finite"));
    let layout = Preprocess { layout: Some(Layout::Nchw), ..Default::default() };
    assert!(open(layout).unwrap_err().contains("four axes"));
}

#[test]
fn elements_that_are_not_finite_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(&dir, "x.npy", &bytes::<f32>(&[2, 2], &[1.0, 2.0, 3.0, f32::NAN]));
    let set = open(&path, &[1, 2]).unwrap();
    assert!(set.get(0).is_ok());
    let text = set.get(1).unwrap_err().to_string();
    assert!(text.contains("x.npy") && text.contains("element 1 of sample 1"), "{text}");
}

#[test]
fn labels_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(&dir, "x.npy", &bytes::<u8>(&[3, 2], &[0; 6]));
    let labelled = |bytes: Vec<u8>| open(&path, &[1, 2]).unwrap().with_labels(&save(&dir, "y.npy", &bytes));
    for labels in [bytes::<u8>(&[3], &[2, 0, 1]), bytes::<i64>(&[3, 1], &[2, 0, 1])] {
        assert_eq!(labelled(labels).unwrap().labels().unwrap(), [2, 0, 1]);
    }
    let wrong = |bytes: Vec<u8>| {
        let text = labelled(bytes).map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("y.npy"), "{text}");
        text
    };
    assert!(wrong(bytes::<u8>(&[2], &[2, 0])).contains("2 labels for 3 samples"));
    assert!(wrong(bytes::<i64>(&[3], &[2, 0, -1])).contains("-1 is no label"));
    assert!(wrong(bytes::<f32>(&[3], &[2.0, 0.0, 1.0])).contains("not integers"));
    assert!(wrong(bytes::<u8>(&[3, 2], &[0; 6])).contains("no list"));
}

fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    let method = zip::CompressionMethod::Deflated;
    for (name, data) in members {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default().compression_method(method))
            .unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn archives() {
    let dir = tempfile::tempdir().unwrap();
    let x = bytes::<f32>(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let both = archive(&[("y", bytes::<i64>(&[2], &[5, 6])), ("x", x.clone())]);
    let set = open(&save(&dir, "a.npz", &both), &[1, 2]).unwrap();
    assert_eq!(floats(&set.get(1).unwrap()), [3.0, 4.0]);
    assert_eq!(set.labels().unwrap(), [5, 6]);
    let set = open(&save(&dir, "b.npz", &archive(&[("x", x.clone())])), &[1, 2]).unwrap();
    assert_eq!((set.len(), set.labels()), (2, None));
    let text = refused(&save(&dir, "c.npz", &archive(&[("data", x.clone())])), &[1, 2]);
    assert!(text.contains("no array `x`") && text.contains("data"), "{text}");
    let cut = archive(&[("x", x[..x.len() - 1].to_vec())]);
    assert!(refused(&save(&dir, "d.npz", &cut), &[1, 2]).contains("cut off"));
    assert!(refused(&save(&dir, "e.npz", &both[..both.len() / 2]), &[1, 2]).contains("savez"));
    assert!(refused(&save(&dir, "f.npz", b"PK"), &[1, 2]).contains("savez"));
    let short = archive(&[("y", bytes::<i64>(&[1], &[5])), ("x", x)]);
    assert!(refused(&save(&dir, "g.npz", &short), &[1, 2]).contains("1 labels for 2 samples"));
}

fn header(text: &str) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.bytes());
    out
}

#[test]
fn damaged_arrays_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes::<f32>(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    for n in 0..whole.len() {
        refused(&save(&dir, "cut.npy", &whole[..n]), &[1, 2]);
    }
    let says = |text: &str| refused(&save(&dir, "x.npy", &header(text)), &[1, 2]);
    let of =
        |descr: &str, shape: &str| says(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}"));
    assert!(of("<f4", "(1099511627776, 2)").contains("cut off"));
    assert!(of("<f4", "(4294967296, 4294967296, 4294967296)").contains("too large"));
    assert!(of("<f4", "(99999999999999999999999999, 2)").contains("too large"));
    assert!(of("<f4", "(-1, 2)").contains("negative"));
    assert!(of(">f4", "(0, 2)").contains("little-endian"));
    assert!(of("<c8", "(0, 2)").contains("little-endian"));
    assert!(of("|O", "(0, 2)").contains("can't be read"));
    assert!(of("<f4", "(0, 2)").contains("no samples"));
    assert!(says(&"(".repeat(60_000)).contains("plain number"));
    assert!(says("{}").contains("missing key"));
    assert!(says("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 2)}").contains("ascontiguousarray"));
    // A header of version 2 that announces four gigabytes of itself.
    assert!(refused(&save(&dir, "x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), &[1, 2]).contains("too long"));
}

#[test]
fn a_file_cut_after_it_was_opened_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes::<f32>(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let path = save(&dir, "x.npy", &whole);
    let set = open(&path, &[1, 2]).unwrap();
    save(&dir, "x.npy", &whole[..whole.len() - 4]);
    assert!(set.get(0).is_ok());
    assert!(set.get(1).unwrap_err().to_string().contains("cut off"));
}

fn rgb(red: u8) -> RgbImage {
    ImageBuffer::from_fn(3, 2, |x, y| Rgb([red, x as u8, y as u8]))
}

#[test]
fn a_folder_of_images() {
    let dir = tempfile::tempdir().unwrap();
    rgb(20).save(dir.path().join("b.png")).unwrap();
    rgb(10).save(dir.path().join("a.BMP")).unwrap();
    ImageBuffer::from_fn(3, 2, |_, _| Rgba([30u8, 1, 2, 7])).save(dir.path().join("c.png")).unwrap();
    save(&dir, "labels.csv", b"not an image");
    save(&dir, ".hidden.png", b"not an image");
    let set = open(dir.path(), &[1, 2, 3, 3]).unwrap();
    assert_eq!((set.len(), set.labels()), (3, None));
    let first = set.get(0).unwrap();
    assert_eq!(first.shape, [1, 2, 3, 3]);
    assert_eq!(floats(&first), [10., 0., 0., 10., 1., 0., 10., 2., 0., 10., 0., 1., 10., 1., 1., 10., 2., 1.]);
    assert_eq!(floats(&set.get(1).unwrap())[0], 20.0);
    assert_eq!(floats(&set.get(2).unwrap())[..3], [30.0, 1.0, 2.0]);
    assert!(set.file(1).ends_with("b.png"));

    let nchw = InputSpec { name: "x".into(), shape: vec![1, 3, 2, 3], layout: Layout::Nchw };
    let preprocess = Preprocess { mean: vec![10.0, 0.0, 0.0], scale: vec![2.0], ..Preprocess::default() };
    let set = Dataset::open(dir.path(), &nchw, &preprocess).unwrap();
    let sample = set.get(1).unwrap();
    assert_eq!(floats(&sample)[..12], [5., 5., 5., 5., 5., 5., 0., 0.5, 1., 0., 0.5, 1.]);

    // Grey from RGB by luma, and one image by itself.
    let set = open(&dir.path().join("b.png"), &[1, 2, 3, 1]).unwrap();
    assert_eq!((set.len(), set.get(0).unwrap().shape.clone()), (1, vec![1, 2, 3, 1]));
}

#[test]
fn grey_images_of_all_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let grey: GrayImage = ImageBuffer::from_fn(3, 2, |x, y| Luma([(10 * y + x) as u8]));
    grey.save(dir.path().join("a.png")).unwrap();
    for shape in [vec![1, 2, 3, 1], vec![1, 2, 3]] {
        let sample = open(dir.path(), &shape).unwrap().get(0).unwrap();
        assert_eq!((floats(&sample), &sample.shape), ([0., 1., 2., 10., 11., 12.].as_slice(), &shape));
    }
    let text = refused(&dir.path().join("a.png"), &[1, 640]);
    assert!(text.contains("no grey or RGB image"), "{text}");
}

#[test]
fn folders_are_classes() {
    let dir = tempfile::tempdir().unwrap();
    for (class, red) in [("dog", 3), ("cat", 1), ("cat", 2)] {
        std::fs::create_dir_all(dir.path().join(class)).unwrap();
        rgb(red).save(dir.path().join(format!("{class}/{red}.png"))).unwrap();
    }
    let set = open(dir.path(), &[1, 2, 3, 3]).unwrap();
    assert_eq!(set.labels().unwrap(), [0, 0, 1]);
    assert_eq!(set.classes(), ["cat", "dog"]);
    assert_eq!(floats(&set.get(2).unwrap())[0], 3.0);

    let dir = tempfile::tempdir().unwrap();
    for class in ["10", "9"] {
        save(&dir, &format!("{class}/x.npy"), &bytes::<f32>(&[2], &[1.0, 2.0]));
    }
    let set = open(dir.path(), &[1, 2]).unwrap();
    assert_eq!(set.labels().unwrap(), [10, 9]);
    assert!(set.classes().is_empty());
}

#[test]
fn folders_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path(), &[1, 2, 3, 3]).contains("no samples"));
    rgb(1).save(dir.path().join("a.png")).unwrap();
    let text = open(dir.path(), &[1, 3, 2, 3]).map(|_| ()).unwrap_err().to_string();
    assert!(
        text.contains("a.png") && text.contains("[2, 3]") && text.contains("[3, 2, 3]") && text.contains("resize"),
        "{text}"
    );

    let png = std::fs::read(dir.path().join("a.png")).unwrap();
    save(&dir, "b.png", b"\x89PNG");
    let text = open(dir.path(), &[1, 2, 3, 3]).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("b.png") && text.contains("can't be decoded"), "{text}");
    // The header is whole, the pixels are not.
    save(&dir, "b.png", &png[..png.len() - 20]);
    let set = open(dir.path(), &[1, 2, 3, 3]).unwrap();
    assert!(set.get(0).is_ok());
    let text = set.get(1).unwrap_err().to_string();
    assert!(text.contains("b.png") && text.contains("can't be decoded"), "{text}");

    save(&dir, "c.npy", &bytes::<f32>(&[2], &[1.0, 2.0]));
    assert!(refused(dir.path(), &[1, 2, 3, 3]).contains("both images and .npy"));
    let dir = tempfile::tempdir().unwrap();
    save(&dir, "many.npy", &bytes::<f32>(&[2, 2], &[1.0; 4]));
    let text = open(dir.path(), &[1, 2]).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("many.npy") && text.contains("holds 2 samples"), "{text}");
}

#[test]
fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(&save(&dir, "x.txt", b"text"), &[1, 2]).contains(".npy"));
    assert!(refused(&dir.path().join("nowhere.npy"), &[1, 2]).contains("can't be read"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_never_panic(at in 0.0..1.0f64, byte in any::<u8>(), cut in 0.5..1.0f64, which in 0usize..4) {
        let dir = tempfile::tempdir().unwrap();
        let x = bytes::<f32>(&[2, 2, 3, 3], &[1.0; 36]);
        let mut png = std::io::Cursor::new(vec![]);
        rgb(5).write_to(&mut png, if which == 2 { image::ImageFormat::Png } else { image::ImageFormat::Jpeg }).unwrap();
        let (name, mut data) = match which {
            0 => ("x.npy", x),
            1 => ("x.npz", archive(&[("x", x)])),
            2 => ("x.png", png.into_inner()),
            _ => ("x.jpg", png.into_inner()),
        };
        let i = (data.len() as f64 * at) as usize;
        data[i] = byte;
        data.truncate((data.len() as f64 * cut * 1.5) as usize);
        if let Ok(set) = open(&save(&dir, name, &data), &[1, 2, 3, 3]) {
            for i in 0..set.len().min(4) {
                if let Ok(sample) = set.get(i) {
                    prop_assert_eq!(sample.shape, [1, 2, 3, 3]);
                }
            }
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(text in "[\\{\\}\\(\\)'a-z0-9:,<| _\\-]{0,80}") {
        let dir = tempfile::tempdir().unwrap();
        let shape = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {text}}}");
        for t in [&text, &shape] {
            let _ = open(&save(&dir, "x.npy", &header(t)), &[1, 2]);
        }
    }
}

#[test]
fn the_shared_data_is_read() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("CARAFE_ASSETS").map_or(beside, PathBuf::from).join("data");
    if !data.is_dir() {
        println!("skipped: the_shared_data_is_read: no data in {} (set CARAFE_ASSETS)", data.display());
        return;
    }
    for (file, labels, shape, count) in [
        ("cifar10/test_images.npy", Some("cifar10/test_labels.npy"), [1, 32, 32, 3].as_slice(), 1000),
        ("kws01/test_int8.npy", Some("kws01/test_labels.npy"), &[1, 49, 10, 1], 800),
        ("mnist/test_images.npy", Some("mnist/test_labels.npy"), &[1, 28, 28], 1000),
        ("str_ww/samples.npy", Some("str_ww/labels.npy"), &[1, 30, 1, 40], 45),
        ("imagenet/images", None, &[1, 224, 224, 3], 1000),
    ] {
        let mut set = open(&data.join(file), shape).unwrap_or_else(|e| panic!("{e}"));
        if let Some(labels) = labels {
            set = set.with_labels(&data.join(labels)).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(set.labels().unwrap().len(), count);
        }
        assert_eq!(set.len(), count, "{file}");
        assert_eq!(set.get(count - 1).unwrap_or_else(|e| panic!("{e}")).shape, shape);
    }
}
