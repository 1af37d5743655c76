//! [`include_model!`] embeds a Carafe blob in a program, and writes what a program needs to run just that model: an
//! aligned static, the registry of its ops, `ARENA_BYTES`, typed inputs and outputs.
//!
//! It is a crate of its own, beside `carafe`, because it reads blobs with `carafe` itself; so `carafe` can't depend on
//! it. A program depends on both:
//!
//! ```toml
//! [dependencies]
//! carafe = "0.1"
//! carafe-macros = "0.1"
//! ```
#![forbid(unsafe_code)]

mod arguments;
mod blob;
mod expand;
mod names;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Embeds a blob as a module.
///
/// ```text
/// carafe_macros::include_model!("models/kws.carafe");                                     // mod kws
/// carafe_macros::include_model!(pub mod spotter = "models/kws.carafe");                   // pub mod spotter
/// carafe_macros::include_model!(concat!(env!("OUT_DIR"), "/kws.carafe"));                 // made by build.rs
///
/// static ARENA: ConstStaticCell<kws::Arena> = ConstStaticCell::new(kws::Arena::zeroed()); // crate static_cell
///
/// fn main() -> ! {
///     let arena = ARENA.take();
///     let Ok(mut net) = kws::Net::new() else { … };
///     match net.run(arena, &spectrogram) {
///         Ok(output) => say(output.label()),
///         Err(error) => …,
///     }
/// }
/// ```
///
/// # Path
///
/// A string literal, `env!("NAME")`, or a `concat!` of these. Relative paths begin at the folder of the package's
/// `Cargo.toml`. Cargo builds again when the file changes.
///
/// Without a name the module is private and has that of the file, `-` and whatever else no name can have made `_`.
/// Attributes and doc comments before `mod` go to the module.
///
/// # At compile time
///
/// The blob is read and verified by `carafe::Model::verify`. A file that is missing, damaged or of another version is an
/// error of the compiler, with the file's name and the remedy. So the program need not verify it again, and links no verifier
/// unless it calls `verify` of the module.
///
/// # The module
///
/// | item | what it is |
/// |---|---|
/// | `struct Net` | the model, ready to run: `Net::new() -> Result<Net, BlobError>`; of a model with state `Net::new(state: &'static mut State)`, and `Net::reset_state()` |
/// | `Net::run(&mut self, arena: &mut [u8], input: &[E; INPUT_BYTES]) -> Result<Output, RunError>` | one inference. `E` is `u8` if the model takes the bytes of a camera, else `i8`: elements that `INPUT.quantize(x)` makes. With several inputs, one argument each; with several outputs, an array of `Output`s |
/// | `Net::run_with(&mut self, arena, fill: impl FnMut(usize, &mut [u8]))` | the same without a copy of the input: `fill(i, to)` writes the next bytes of input `i` into the arena, all or one row of them (`carafe::typed::infer`) |
/// | `Net::session(&mut self) -> &mut Session` | for steps, probes, async |
/// | `type Arena`, `const ARENA_BYTES: usize` | memory for one inference. `Arena::zeroed()` is aligned to 16 bytes; any `&mut [u8]` of `ARENA_BYTES` does as well |
/// | `const STATE_BYTES: usize`, `type State` | memory that outlives an inference; the type only where there is some |
/// | `const INPUT: TensorSpec`, `INPUT_BYTES: usize`, `INPUT_SHAPE: [usize; _]` | the first input: name, shape, type, scale, zero point. The second's are called `INPUT_1`, `INPUT_1_BYTES`, … |
/// | `const OUTPUT: TensorSpec`, `OUTPUT_BYTES`, `OUTPUT_SHAPE` | the same of the outputs |
/// | `static LABELS: [&str; _]` | labels of the first output's classes, if the blob has them; the text is the blob's own, not a copy |
/// | `static BLOB: Aligned<_>` | the blob |
/// | `static REGISTRY: Registry` | the ops that the model uses, in its arithmetic; nothing else is linked |
/// | `fn model() -> Result<Model, BlobError>` | the model (`Net::new` asks for it); an error where no blob is, as in flash that has not been written |
/// | `fn verify() -> Result<(), BlobError>` | verifies the blob where it lies now, checksum and all, for programs that do not trust their flash |
///
/// Nothing in it allocates, panics or is unsafe. All names are absolute: it needs the crate `carafe` under that name,
/// and nothing imported.
#[proc_macro]
pub fn include_model(input: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(input as arguments::Arguments);
    blob::Blob::read(&arguments)
        .and_then(|blob| expand::module(&arguments, &blob))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
