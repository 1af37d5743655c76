//! The seeds, and as many random recipes as are cheap, through what the fuzz targets do: without nightly, without
//! libFuzzer.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use carafe::Model;
use carafe_fuzz_bodies::{blob, dataset, openvino, protocol, run};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target)
}

/// Replays all seeds of a target.
fn replay<R>(target: &str, check: impl Fn(&[u8]) -> R) {
    let mut count = 0;
    for entry in fs::read_dir(folder(target)).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        if catch_unwind(AssertUnwindSafe(|| check(&data))).is_err() {
            panic!("{} panics", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "there are no seeds of {target}");
}

#[test]
fn seeds_of_blob() {
    replay("blob", blob::check);
}

#[test]
fn seeds_of_openvino() {
    replay("openvino", openvino::check);
}

#[test]
fn seeds_of_dataset() {
    replay("dataset", dataset::check);
}

#[test]
fn seeds_of_run() {
    replay("run", run::check);
}

#[test]
fn seeds_of_protocol() {
    replay("protocol", protocol::check);
}

/// Bytes that depend on a seed alone (splitmix64).
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xD129_0F2B_39C7_5A1D);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let n = 12 + next() % 130;
    (0..n).map(|_| next() as u8).collect()
}

/// `CARAFE_ATTEMPTS`: more, for a long hunt.
fn attempts() -> u64 {
    std::env::var("CARAFE_ATTEMPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000)
}

/// Checks random bytes; what came of them, by seed.
fn hunt<R>(check: impl Fn(&[u8]) -> R) -> impl Iterator<Item = (u64, R)> {
    (1..=attempts()).map(move |seed| match catch_unwind(AssertUnwindSafe(|| check(&random(seed)))) {
        Ok(result) => (seed, result),
        Err(_) => panic!("seed {seed} panics"),
    })
}

/// Who adds an op adds it to the blobs that `write_fuzz_seeds` makes.
#[test]
fn every_op_is_forged() {
    let models = run::forge::BASES.map(|blob| Model::verify(blob, carafe::ops::ALL).unwrap());
    let used = |op: &carafe::OpEntry| {
        models.iter().any(|m| (0..m.nodes()).any(|n| m.node(n).is_ok_and(|node| node.header.op == op.code().0)))
    };
    let missing: Vec<_> = carafe::ops::ALL.ops().iter().filter(|op| !used(op)).map(|op| op.code().name()).collect();
    assert!(missing.is_empty(), "no seed of `blob` has {missing:?}");
    assert!(models.iter().any(|m| m.arithmetic() == 0) && models.iter().any(|m| m.arithmetic() == 1));
}

/// Edits have to pass the verifier often, or it is the verifier alone that is tried.
#[test]
fn random_recipes_run() {
    let mut ends = BTreeMap::<_, u64>::new();
    let (mut tried, mut kept, mut changed) = (0, 0, 0);
    for (_, report) in hunt(run::check) {
        *ends.entry(report.end).or_default() += 1;
        (tried, kept) = (tried + u64::from(report.tried), kept + u64::from(report.kept));
        changed += u64::from(report.kept > 0);
    }
    println!("{ends:?}; of {tried} groups of edits {kept} are accepted; {changed} blobs are forged");
    assert!(kept * 5 > tried, "{kept} of {tried}");
    assert!(changed * 3 > attempts() * 2, "{changed} of {}", attempts());
    let of = |end| ends.get(&end).copied().unwrap_or(0);
    assert!(of(run::End::Complete) * 4 > attempts() && of(run::End::Stopped) * 20 > attempts(), "{ends:?}");
}

/// A thousand times frames of all sorts: no hang, no lost model.
#[test]
fn random_scripts_do_no_harm() {
    let mut ends = BTreeMap::<_, u64>::new();
    for (_, end) in hunt(protocol::check) {
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    assert_eq!(ends.len(), 5, "{ends:?}");
    assert!(ends[&protocol::End::Kept] * 10 > attempts(), "{ends:?}");
}

/// `cargo test -p carafe-fuzz-bodies -- --ignored write_seeds`: some recipes of every sort.
#[test]
#[ignore = "writes fuzz/seeds/run and fuzz/seeds/protocol"]
fn write_seeds() {
    let mut recipes = BTreeMap::new();
    for (seed, report) in hunt(run::check) {
        let base = usize::from(random(seed)[0]) % run::forge::BASES.len();
        let best = recipes.entry((base, report.end)).or_insert((report.kept, seed));
        *best = (*best).max((report.kept, seed));
    }
    for ((base, end), (_, seed)) in recipes {
        let name = format!("{base}_{end:?}").to_lowercase();
        fs::write(folder("run").join(name), random(seed)).unwrap();
    }
    let mut scripts = BTreeMap::<_, Vec<u64>>::new();
    for (seed, end) in hunt(protocol::check) {
        scripts.entry(end).or_default().push(seed);
    }
    for (end, seeds) in scripts {
        for (i, seed) in seeds.into_iter().take(2).enumerate() {
            fs::write(folder("protocol").join(format!("{end:?}{i}").to_lowercase()), random(seed)).unwrap();
        }
    }
}
