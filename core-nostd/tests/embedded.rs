//! Models that are not verified when they are loaded, because they were when the program was compiled: the same results;
//! and whatever becomes of their bytes afterwards, errors or other numbers and nothing else.

use std::path::Path;

use carafe::{BlobError, Memory, Model, RunError, Session, Step, ops};

/// More memory than the blobs need.
const ARENA: usize = 1 << 16;

/// Blobs of random small models with all kinds of ops, buffers and inputs.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/blob");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// The outputs.
fn run(model: Model<'_>) -> Result<Vec<Vec<u8>>, RunError> {
    let mut arena = vec![0xA5; ARENA];
    let (mut fast, mut state) = (arena.clone(), arena.clone());
    let mut session = Session::with_state(model, &mut state)?;
    let mut run = session.start_in(Memory { main: &mut arena, fast: &mut fast }, ())?;
    let pushed: Vec<bool> = (0..model.inputs()).map(|i| run.input(i).map(|input| input.fill(7)).is_err()).collect();
    // No good run takes more steps. A bad one may say that it takes four thousand million.
    for _ in 0..10_000 {
        match run.step() {
            Ok(Step::Done) => break,
            Ok(_) => {}
            Err(RunError::NeedsInput { input }) if pushed.get(usize::from(input)) == Some(&true) => {
                let i = usize::from(input);
                let row = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
                run.push_rows(i, &vec![7; row])?;
            }
            Err(error) => return Err(error),
        }
    }
    (0..model.outputs()).map(|i| run.output(i).map(<[u8]>::to_vec)).collect()
}

#[test]
fn computes_what_the_verified_model_computes() {
    let seeds = seeds();
    assert!(!seeds.is_empty());
    for blob in seeds {
        let expected = run(Model::verify(&blob, ops::ALL).unwrap()).unwrap();
        assert!(!expected.is_empty());
        assert_eq!(run(Model::embedded(&blob, ops::ALL).unwrap()), Ok(expected));
    }
}

#[test]
fn a_blob_has_to_be_there() {
    for bytes in [&[][..], &[0xFF; 64], b"CAR"] {
        assert_eq!(Model::embedded(bytes, ops::ALL).err(), Some(BlobError::Magic));
    }
}

/// Every byte damaged in several ways, as flash does, every length, and a registry without ops.
#[test]
#[cfg_attr(miri, ignore = "ten thousand runs")]
fn damaged_bytes_do_no_harm() {
    let (mut wrong, mut other) = (0u32, 0u32);
    let mut count = |result: Result<_, RunError>| if result.is_err() { wrong += 1 } else { other += 1 };
    for blob in seeds() {
        let mut bytes = blob.clone();
        for i in 4..bytes.len() {
            for change in [0x01, 0x80, 0xFF] {
                bytes[i] ^= change;
                count(run(Model::embedded(&bytes, ops::ALL).unwrap()));
                bytes[i] = blob[i];
            }
        }
        for length in 4..blob.len() {
            count(run(Model::embedded(&blob[..length], ops::ALL).unwrap()));
        }
        let none = run(Model::embedded(&blob, carafe::registry![]).unwrap());
        assert!(matches!(none, Err(RunError::Plan { .. })), "{none:?}");
    }
    assert!(wrong > 1000 && other > 1000, "{wrong} ended in errors, {other} in results");
}
