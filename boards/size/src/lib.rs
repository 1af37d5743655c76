//! What the measured programs have in common.
//!
//! Model and arena come through [`core::hint::black_box`], so the compiler knows neither their contents nor their
//! lengths, and links all that a product would link: session, every step of a run, and the verifier where it is called.
#![no_std]
#![deny(unsafe_code)]

use core::hint::black_box;

use carafe::offload::Accelerator;
use carafe::{Model, Registry, Session};

static MODEL: [u8; 4] = *b"CARF";

/// What a product does with a model that was verified when it was compiled: start, fill the input, run, read the output.
pub fn infer(registry: Registry<'_>) {
    with_memory(|blob, arena| {
        let Ok(model) = Model::embedded(blob, registry) else { return };
        run(model, arena);
    });
}

/// As [`infer`], with a model that has come over the wire.
pub fn verify_and_infer(registry: Registry<'_>) {
    with_memory(|blob, arena| {
        let Ok(model) = Model::verify(blob, registry) else { return };
        run(model, arena);
    });
}

#[inline(always)]
fn run(model: Model<'_>, arena: &mut [u8]) {
    let mut session = Session::new(model);
    let Ok(mut run) = session.start(arena) else { return };
    if let Ok(input) = run.input(0) {
        black_box(input);
    }
    black_box(run.run().is_ok());
    black_box(run.output(0).ok());
}

/// As [`infer`], with an accelerator.
pub fn infer_on(registry: Registry<'_>, accelerator: impl Accelerator) {
    with_memory(|blob, arena| {
        let Ok(model) = Model::embedded(blob, registry) else { return };
        let mut session = Session::new(model);
        let Ok(mut run) = session.start_on(arena, (), accelerator) else { return };
        if let Ok(input) = run.input(0) {
            black_box(input);
        }
        black_box(run.run().is_ok());
        black_box(run.output(0).ok());
    });
}

/// Lends memory that the compiler knows nothing of. The measured programs and the one that is subtracted from them
/// both come by here.
pub fn with_memory(body: impl FnOnce(&[u8], &mut [u8])) {
    let mut arena = [0u8; 4];
    let (blob, arena): (&[u8], &mut [u8]) = (&MODEL, &mut arena);
    body(black_box(blob), black_box(arena));
}

/// The beginning of a program: there is no start-up code, for it is never run.
#[macro_export]
macro_rules! program {
    ($body:expr) => {
        #[allow(unsafe_code, reason = "the name is unique: the linker script asks for it")]
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $body;
            $crate::rest()
        }
    };
}

/// Where a program goes when it has done its work.
pub fn rest() -> ! {
    loop {
        black_box(());
    }
}

/// Not linked unless something panics; `xtask size` looks for it. Its body is like no other function's, so the
/// compiler can't merge it with one that is linked.
#[panic_handler]
#[inline(never)]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        black_box(*b"carafe panicked");
    }
}
