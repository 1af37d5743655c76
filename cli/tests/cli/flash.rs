//! Keys, signatures, and models into the flash of the emulated board.

use std::fs;

use carafe_boards::Availability;

use crate::board::emulator;
use crate::common::{Folder, blob, carafe, digits};

#[test]
fn keys_sign_and_are_never_overwritten() {
    let folder = Folder::new();
    let (key, signed) = (folder.at("a.key"), folder.at("signed.carafe"));
    let made = carafe(["keygen", &key, "--json"]).ok().json();
    let id = made["key_id"].as_str().unwrap();
    assert_eq!((made["public"].as_str(), id.len()), (Some(&*folder.at("a.key.pub")), 16));
    assert_eq!(made["public_key"].as_str().map(|k| (k.len(), k.starts_with(id))), Some((64, true)));
    carafe(["keygen", &key]).fails(1, &["a.key", "never overwritten"]);
    carafe(["keygen", &folder.at("no/b.key")]).fails(1, &["folder does not exist"]);

    let unsigned = carafe(["inspect", &blob(), "--json"]).ok().json();
    assert!(unsigned["signature"].is_null());
    let public = folder.at("a.key.pub");
    carafe(["inspect", &blob(), "--key", &public]).fails(1, &["not signed", "carafe sign"]);
    carafe(["sign", &blob(), "--key", &key, "-o", &signed]).ok();
    let inspected = carafe(["inspect", &signed, "--key", &public, "--json"]).ok().json();
    assert_eq!((inspected["signature"]["key_id"].as_str(), &inspected["signature"]["valid"]), (Some(id), &true.into()));
    // What can read a blob reads a signed one.
    let image = digits("samples/7.png");
    carafe(["run", &signed, "--input", &image]).ok();

    // Signed once more, in place, by another.
    let other = folder.at("b.key");
    carafe(["keygen", &other]).ok();
    let again = carafe(["sign", &signed, "--key", &other, "--json"]).ok().json();
    assert_eq!(again["replaced"].as_str(), Some(id));
    carafe(["inspect", &signed, "--key", &public]).fails(1, &["signed with key", id]);
    let mut altered = fs::read(&signed).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    let altered = folder.write("altered.carafe", altered);
    carafe(["inspect", &altered, "--key", &folder.at("b.key.pub")]).fails(1, &["changed since it was signed"]);
    carafe(["sign", &signed, "--key", &public]).fails(1, &["public key", "private one"]);
    carafe(["sign", &signed, "--key", &image]).fails(1, &["7.png"]);
}

#[test]
fn flash_says_what_it_lacks() {
    let folder = Folder::new();
    carafe(["flash"]).fails(2, &["FILE.carafe"]);
    carafe(["flash", &blob()]).fails(2, &["--board", "--chip"]);
    carafe(["flash", &blob(), "--board", "host"]).fails(1, &["host", "carafe run"]);
    carafe(["flash", &blob(), "--board", "qemu-mps2-an386", "--chip", "nRF52840_xxAA"]).fails(2, &["emulated"]);
    if let Availability::Available = carafe_boards::find("qemu-leon3").unwrap().availability() {
        let image = folder.at("x.img");
        carafe(["flash", "--status", "--board", "qemu-leon3", "--flash-image", &image])
            .fails(2, &["no files", "leave"]);
    }
    carafe(["flash", &folder.write("x.carafe", "nothing"), "--board", "qemu-mps2-an386"]).fails(1, &["x.carafe"]);
    let without = carafe(["flash", &blob(), "--chip", "nRF52840_xxAA", "--slots", "0x1000:0x1000"]);
    if cfg!(feature = "probe") {
        without.fails(1, &["probe"]);
    } else {
        without.fails(1, &["--features probe"]);
    }
}

#[test]
fn a_model_is_flashed_confirmed_and_kept() {
    let elf = match emulator() {
        Ok(elf) => elf,
        Err(why) => return println!("skipped: a_model_is_flashed_confirmed_and_kept: {why}"),
    };
    let folder = Folder::new();
    let image = folder.at("flash.img");
    let board = ["--board", "qemu-mps2-an386", "--elf", &elf, "--flash-image", &image, "--json"];
    let flash = |more: &[&str]| carafe(["flash"].into_iter().chain(more.iter().copied()).chain(board));
    let is = |ran: &serde_json::Value, outcome: &str, running: Option<&str>| {
        assert_eq!((ran["outcome"].as_str(), ran["running"].as_str()), (Some(outcome), running), "{ran}");
    };
    is(&flash(&["--status"]).ok().json(), "status", None);
    is(&flash(&[&blob()]).ok().json(), "confirmed", Some("A"));
    is(&flash(&[&blob()]).ok().json(), "already", Some("A"));
    let trial = flash(&[&blob(), "--force", "--no-confirm"]).ok().json();
    is(&trial, "trial", Some("B"));
    assert_eq!((trial["slots"][1]["state"].as_str(), trial["slots"][1]["trials"].as_u64()), (Some("trial"), Some(1)));
    // Each start is a trial; after the third the old one is back.
    for trials in 2..=3 {
        let status = flash(&["--status"]).ok().json();
        assert_eq!(status["slots"][1]["trials"].as_u64(), Some(trials));
    }
    let status = flash(&["--status"]).ok().json();
    is(&status, "status", Some("A"));
    assert_eq!(status["slots"][1]["state"].as_str(), Some("rejected"));
    flash(&["--revert"]).fails(1, &["no other confirmed model"]);
    is(&flash(&[&blob(), "--force"]).ok().json(), "confirmed", Some("B"));
    is(&flash(&["--revert"]).ok().json(), "reverted", Some("A"));
    // A file that is something else stays as it is.
    let other = folder.write("notes.txt", "dear diary");
    let board = ["--board", "qemu-mps2-an386", "--elf", &elf, "--flash-image", &other];
    carafe(["flash", "--status"].into_iter().chain(board)).fails(1, &["notes.txt", "--flash-image"]);
    assert_eq!(fs::read_to_string(&other).unwrap(), "dear diary");
    let built = flash(&["--firmware"]).ok().json();
    assert_eq!(built["firmware"].as_str(), Some(&*elf));
}
