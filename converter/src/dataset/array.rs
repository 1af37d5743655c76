//! NumPy files.

use std::{
    fs::File,
    io::{Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use half::f16;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::DatasetError;

/// A NumPy header is a line of text. What is longer is no array of numbers.
const LONGEST_HEADER: usize = 64 << 10;

/// The most that is taken from a compressed archive, in bytes.
const MOST_UNPACKED: u64 = 2 << 30;

const REMEDY_SAVE: &str = "write it again with `numpy.save`";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    U8,
    I8,
    U16,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl Type {
    fn of(dtype: &DType) -> Option<Self> {
        let DType::Plain(t) = dtype else { return None };
        if t.endianness() == Endianness::Big {
            return None;
        }
        Some(match (t.type_char(), t.size_field()) {
            (TypeChar::Uint, 1) | (TypeChar::Bool, 1) => Self::U8,
            (TypeChar::Int, 1) => Self::I8,
            (TypeChar::Uint, 2) => Self::U16,
            (TypeChar::Int, 2) => Self::I16,
            (TypeChar::Int, 4) => Self::I32,
            (TypeChar::Int, 8) => Self::I64,
            (TypeChar::Float, 2) => Self::F16,
            (TypeChar::Float, 4) => Self::F32,
            (TypeChar::Float, 8) => Self::F64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    fn floats(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
        }
        match self {
            Self::U8 => bytes.iter().map(|&b| b.into()).collect(),
            Self::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
            Self::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
            Self::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        }
    }

    fn integers(self, bytes: &[u8]) -> Option<Vec<i64>> {
        fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> i64) -> Vec<i64> {
            bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
        }
        Some(match self {
            Self::U8 => bytes.iter().map(|&b| b.into()).collect(),
            Self::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
            Self::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
            Self::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
            Self::I64 => each(bytes, i64::from_le_bytes),
            Self::F16 | Self::F32 | Self::F64 => return None,
        })
    }
}

#[derive(Debug)]
enum Bytes {
    /// Elements stand in the file of this path, from this offset.
    File(u64),
    /// Elements were unpacked.
    Memory(Vec<u8>),
}

/// An array in a file; its elements are read when they are needed.
#[derive(Debug)]
pub(super) struct Array {
    path: PathBuf,
    /// Name in an archive.
    member: Option<&'static str>,
    shape: Vec<usize>,
    ty: Type,
    bytes: Bytes,
    /// Elements of one sample, and the number of samples.
    split: (usize, usize),
}

impl Array {
    /// Opens an `.npy` file.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let read = |e| DatasetError::read(path, e);
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let (shape, ty, offset) = header(file, path)?;
        let needed = size(&shape, ty).and_then(|s| s.checked_add(offset));
        if needed.is_none_or(|n| n > length) {
            return Err(cut_off(path, &shape, ty, length - offset.min(length)));
        }
        let all = shape.iter().product();
        Ok(Self { path: path.into(), member: None, shape, ty, bytes: Bytes::File(offset), split: (all, 1) })
    }

    /// Opens arrays `x` and, if it is there, `y` of an `.npz` file.
    pub fn from_archive(path: &Path) -> Result<(Self, Option<Self>), DatasetError> {
        let file = File::open(path).map_err(|e| DatasetError::read(path, e))?;
        let damaged = |e: zip::result::ZipError| {
            DatasetError::format(path, format!("not an .npz archive: {e}"), "write it again with `numpy.savez`")
        };
        let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
        let mut names: Vec<String> =
            archive.file_names().flatten().map(|n| n.trim_end_matches(".npy").to_owned()).collect();
        names.sort();
        if !names.iter().any(|n| n == "x") {
            return Err(DatasetError::format(
                path,
                format!("has no array `x`, only {names:?}"),
                "save the samples under this name: `numpy.savez(FILE, x=SAMPLES, y=LABELS)`",
            ));
        }
        let mut member = |name: &'static str| -> Result<Self, DatasetError> {
            let mut entry = archive.by_name(&format!("{name}.npy")).map_err(damaged)?;
            let (shape, ty, _) = header(&mut entry, path)?;
            let Some(needed) = size(&shape, ty).filter(|n| *n <= MOST_UNPACKED) else {
                return Err(DatasetError::format(
                    path,
                    format!("array `{name}` of shape {shape:?} is too large to unpack"),
                    "save it with `numpy.save` as .npy, which is read piece by piece",
                ));
            };
            // Grows with what there is, not with what the header promises.
            let mut bytes = vec![];
            entry.take(needed).read_to_end(&mut bytes).map_err(|e| DatasetError::read(path, e))?;
            if (bytes.len() as u64) < needed {
                return Err(cut_off(path, &shape, ty, bytes.len() as u64));
            }
            let all = shape.iter().product();
            Ok(Self { path: path.into(), member: Some(name), shape, ty, bytes: Bytes::Memory(bytes), split: (all, 1) })
        };
        let x = member("x")?;
        let y = names.iter().any(|n| n == "y").then(|| member("y")).transpose()?;
        Ok((x, y))
    }

    /// Divides the array into samples of shape `[1, ...]`, the batch axis included.
    pub fn with_samples(mut self, sample: &[usize], input: &str) -> Result<Self, DatasetError> {
        let one = sample.get(1..).unwrap_or(&[]);
        let elements = one.iter().product();
        // Axes of extent 1 come and go between a model and its data: [N, 49, 10] for [1, 49, 10, 1].
        let squeezed = |s: &[usize]| s.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
        let rest = self.shape.get(1..).unwrap_or(&[]);
        let count = if self.shape == one || self.shape == sample {
            1
        } else if !self.shape.is_empty() && (rest == one || squeezed(rest) == squeezed(one)) {
            self.shape[0]
        } else if squeezed(&self.shape) == squeezed(one) {
            1
        } else {
            let names: Vec<String> = one.iter().map(ToString::to_string).collect();
            let remedy = match (rest, one) {
                (&[h, w, c], &[a, b, d]) if [c, h, w] == [a, b, d] || [w, c, h] == [a, b, d] => {
                    "the data has another layout: name it with `--layout`"
                }
                _ => "bring the data to this shape, without batches of batches",
            };
            return Err(DatasetError::Shape {
                path: self.path,
                input: input.into(),
                expected: format!("[N, {0}], or [{0}] for one sample", names.join(", ")),
                got: self.shape,
                remedy: remedy.into(),
            });
        };
        if count == 0 {
            return Err(DatasetError::format(&self.path, "holds no samples", "give at least one"));
        }
        self.split = (elements, count);
        Ok(self)
    }

    /// True if elements are unsigned bytes.
    pub fn is_bytes(&self) -> bool {
        self.ty == Type::U8
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.split.1
    }

    /// The elements of a sample, as they are stored.
    pub fn sample(&self, i: usize) -> Result<Vec<f32>, DatasetError> {
        let size = self.split.0 * self.ty.size();
        self.read(i * size, size).map(|b| self.ty.floats(&b))
    }

    fn read(&self, from: usize, size: usize) -> Result<Vec<u8>, DatasetError> {
        match &self.bytes {
            Bytes::Memory(bytes) => match bytes.get(from..from + size) {
                Some(part) => Ok(part.to_vec()),
                None => Err(cut_off(&self.path, &self.shape, self.ty, bytes.len() as u64)),
            },
            Bytes::File(offset) => {
                // Opened anew, so that threads do not share a position.
                let mut bytes = vec![];
                let result = File::open(&self.path).and_then(|mut f| {
                    f.seek(SeekFrom::Start(offset + from as u64))?;
                    f.take(size as u64).read_to_end(&mut bytes)
                });
                result.map_err(|e| DatasetError::read(&self.path, e))?;
                if bytes.len() == size {
                    Ok(bytes)
                } else {
                    Err(cut_off(&self.path, &self.shape, self.ty, bytes.len() as u64))
                }
            }
        }
    }

    /// All elements as labels.
    pub fn labels(&self) -> Result<Vec<u32>, DatasetError> {
        let wrong = |what: String| {
            let member = self.member.map_or_else(String::new, |m| format!("array `{m}`: "));
            DatasetError::Labels { path: self.path.clone(), what: format!("{member}{what}") }
        };
        if squeezed_rank(&self.shape) > 1 {
            return Err(wrong(format!("labels of shape {:?} are no list", self.shape)));
        }
        let n: usize = self.shape.iter().product();
        let bytes = self.read(0, n * self.ty.size())?;
        let all = self.ty.integers(&bytes).ok_or_else(|| wrong(format!("labels are {:?}, not integers", self.ty)))?;
        all.iter().map(|&l| u32::try_from(l).map_err(|_| wrong(format!("{l} is no label")))).collect()
    }
}

fn squeezed_rank(shape: &[usize]) -> usize {
    shape.iter().filter(|&&d| d != 1).count()
}

fn size(shape: &[usize], ty: Type) -> Option<u64> {
    shape.iter().try_fold(ty.size() as u64, |n, &d| n.checked_mul(d as u64))
}

fn cut_off(path: &Path, shape: &[usize], ty: Type, length: u64) -> DatasetError {
    let what = format!("is cut off: its header promises shape {shape:?} of {ty:?}, but only {length} bytes follow");
    DatasetError::format(path, what, "copy or write the file again")
}

/// Shape, type, and offset of the elements. The reader stands at the elements then.
fn header(mut reader: impl Read, path: &Path) -> Result<(Vec<usize>, Type, u64), DatasetError> {
    let wrong = |what: &str| DatasetError::format(path, format!("not an .npy array: {what}"), REMEDY_SAVE);
    let mut take = |n: usize| -> Result<Vec<u8>, DatasetError> {
        let mut bytes = vec![0; n];
        reader.read_exact(&mut bytes).map_err(|_| wrong("its header is cut off"))?;
        Ok(bytes)
    };
    let mut all = take(10)?;
    if !all.starts_with(b"\x93NUMPY") {
        return Err(wrong("it does not start as one"));
    }
    let mut length = usize::from(u16::from_le_bytes([all[8], all[9]]));
    if all[6] >= 2 {
        let high = take(2)?;
        length |= usize::from(u16::from_le_bytes([high[0], high[1]])) << 16;
        all.extend(high);
    }
    if length > LONGEST_HEADER {
        return Err(wrong("its header is too long"));
    }
    let text = take(length)?;
    plausible(&text).map_err(wrong)?;
    all.extend(text);
    let offset = all.len() as u64;
    let header = NpyHeader::from_reader(Cursor::new(all)).map_err(|e| wrong(&e.to_string()))?;
    let dtype = header.dtype();
    let Some(ty) = Type::of(&dtype) else {
        return Err(DatasetError::format(
            path,
            format!("elements of type {} can't be read", dtype.descr()),
            "save it as little-endian uint8, int8, int16, int32, int64, float16, float32 or float64",
        ));
    };
    if header.order() == Order::Fortran && header.shape().len() > 1 {
        return Err(DatasetError::format(
            path,
            "the array is in Fortran order",
            "save `numpy.ascontiguousarray(ARRAY)` instead",
        ));
    }
    let shape = header.shape().iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| wrong("its shape is too large"))?;
    Ok((shape, ty, offset))
}

/// The library that reads headers multiplies extents unchecked, and follows brackets as deep as they go; so what no
/// array of numbers has is refused before.
fn plausible(text: &[u8]) -> Result<(), &'static str> {
    if text.iter().filter(|b| matches!(b, b'(' | b'[' | b'{')).count() > 4 {
        return Err("its type is not a plain number");
    }
    let mut product: u64 = 1;
    let mut before = b' ';
    for part in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        if part.first().is_some_and(u8::is_ascii_digit) {
            let number = part.iter().try_fold(0u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')));
            product = number.and_then(|n| product.checked_mul(n.max(1))).ok_or("its shape is too large")?;
            // 1_000, 0x10 and their like mean other numbers than their digits.
            if before == b'_' {
                return Err("a number in its header is not plain decimal");
            }
        } else if matches!(
            part.first(),
            Some(b'_' | b'x' | b'X' | b'o' | b'O' | b'b' | b'B' | b'e' | b'E' | b'.' | b'j')
        ) && before.is_ascii_digit()
        {
            return Err("a number in its header is not plain decimal");
        }
        before = part.last().copied().unwrap_or(b' ');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::plausible;

    #[test]
    fn plain_headers_pass() {
        assert_eq!(plausible(b"{'descr': '<f4', 'fortran_order': False, 'shape': (100, 32, 32, 3), }   \n"), Ok(()));
        assert_eq!(plausible(b"{'descr': '|u1', 'fortran_order': False, 'shape': (), }"), Ok(()));
    }

    #[test]
    fn headers_that_would_overflow_or_nest_are_refused() {
        assert!(plausible(b"'shape': (4294967296, 4294967296)").is_err());
        assert!(plausible(b"'shape': (99999999999999999999999,)").is_err());
        assert!(plausible(b"'shape': (0xFFFFFFFFFFFFFFFF,)").is_err());
        assert!(plausible(b"'shape': (1_000_000,)").is_err());
        assert!(plausible(&[b'('; 1000]).is_err());
    }
}
