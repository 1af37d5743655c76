//! The runtime with one op, which `CARAFE_SIZE_OP` names when this is compiled: as `registry!` takes it.
#![no_std]
#![no_main]

use carafe::arithmetic::{Arithmetic, Tflite};
use carafe::{OpEntry, Registry, ops, registry};

const OP: Registry<'static> = match option_env!("CARAFE_SIZE_OP") {
    None => registry![],
    Some(_) => Registry::new(&NAMED),
};

/// Nothing of the other entries is linked: this is a copy of one.
const NAMED: &[OpEntry] = &[find(match option_env!("CARAFE_SIZE_OP") {
    Some(name) => name.as_bytes(),
    None => b"Lut",
})];

const fn find(name: &[u8]) -> OpEntry {
    let all = ops::ALL.ops();
    let mut i = 0;
    while i < all.len() {
        let tflite = matches!(all[i].arithmetic(), Some(id) if id == Tflite::ID);
        let suffix: &[u8] = if tflite { b"<Tflite>" } else { b"" };
        if is(name, all[i].code().name().as_bytes(), suffix) {
            return all[i];
        }
        i += 1;
    }
    panic!("CARAFE_SIZE_OP names no op")
}

/// True if `name` is `front` and then `back`.
const fn is(name: &[u8], front: &[u8], back: &[u8]) -> bool {
    if name.len() != front.len() + back.len() {
        return false;
    }
    let mut i = 0;
    while i < name.len() {
        let want = if i < front.len() { front[i] } else { back[i - front.len()] };
        if name[i] != want {
            return false;
        }
        i += 1;
    }
    true
}

carafe_size::program!(carafe_size::infer(OP));
