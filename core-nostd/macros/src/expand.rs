//! The module that is written.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Ident, Result};

use crate::arguments::Arguments;
use crate::blob::{Blob, Tensor};
use crate::names;

/// The module.
pub fn module(arguments: &Arguments, blob: &Blob) -> Result<TokenStream> {
    let Arguments { attributes, visibility, name, path, span } = arguments;
    let path = path.to_str().ok_or_else(|| Error::new(*span, format!("{}: is not UTF-8", path.display())))?;
    let about = about(blob);
    let kernels: Vec<_> = blob.ops().map(|(op, loops)| names::kernel(op, blob.arithmetic, loops)).collect();
    let Blob { bytes, arena_bytes, state_bytes, .. } = blob;
    let inputs = tensors(&blob.inputs, "INPUT");
    let outputs = tensors(&blob.outputs, "OUTPUT");
    let labels = labels(blob);
    let net = net(blob);
    let version = carafe::embedded::VERSION;
    let state = (blob.state_bytes > 0).then(|| {
        quote! {
            /// Memory that outlives an inference.
            pub type State = ::carafe::Aligned<STATE_BYTES>;
        }
    });
    Ok(quote! {
        #[doc = #about]
        #(#attributes)*
        // One output is read as several are, each with its `?`.
        #[allow(dead_code, clippy::needless_question_mark)]
        #visibility mod #name {
            /// The blob, as the converter wrote it.
            pub static BLOB: ::carafe::Aligned<#bytes> = ::carafe::Aligned::new(*::core::include_bytes!(#path));

            /// The ops that the model uses, in its arithmetic.
            pub static REGISTRY: ::carafe::Registry<'static> = ::carafe::registry![#(#kernels),*];

            /// The same for a blob that is known to hold.
            static PROVEN: ::carafe::Registry<'static> = ::carafe::Registry::new(const {
                &(&[#(::carafe::OpEntry::proven::<#kernels>()),*] as &[::carafe::OpEntry])
            });

            /// Bytes of memory that one inference takes.
            pub const ARENA_BYTES: usize = #arena_bytes;

            /// Bytes of memory that outlive an inference.
            pub const STATE_BYTES: usize = #state_bytes;

            /// Memory for one inference.
            pub type Arena = ::carafe::Aligned<ARENA_BYTES>;

            #state

            #inputs
            #outputs
            #labels

            const _: () = ::carafe::embedded::verified_by(#version);

            /// The model. The blob was verified when this was compiled, and is not verified again: `verify` does that.
            ///
            /// # Errors
            /// Where no blob is, as in flash that has not been written.
            pub fn model() -> ::core::result::Result<::carafe::Model<'static>, ::carafe::BlobError> {
                ::carafe::Model::embedded(&BLOB, PROVEN)
            }

            /// Verifies the blob where it lies now, checksum and all: for programs that do not trust their flash. It takes
            /// time in proportion to the blob, and flash (2.4 KB on a Cortex-M4, and the checks of the model's ops) only where it is
            /// called.
            ///
            /// # Errors
            /// Where the blob has been damaged since it was compiled in.
            pub fn verify() -> ::core::result::Result<(), ::carafe::BlobError> {
                ::carafe::Model::verify(&BLOB, REGISTRY).map(|_| ())
            }

            #net
        }
    })
}

fn about(blob: &Blob) -> String {
    let list = |tensors: &[Tensor]| {
        let one = |t: &Tensor| format!("`{}` {:?}", t.name, t.io.shape());
        tensors.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    format!(
        "Model `{}`: {} to {}; {} bytes of arena, {} of blob, {} of them weights.",
        blob.name,
        list(&blob.inputs),
        list(&blob.outputs),
        blob.arena_bytes,
        blob.bytes,
        blob.weights_bytes
    )
}

/// Constants of inputs or outputs.
fn tensors(tensors: &[Tensor], prefix: &str) -> TokenStream {
    let each = tensors.iter().enumerate().map(|(i, tensor)| {
        let ident = |suffix| names::numbered(prefix, i, suffix);
        let (spec, bytes, shape) = (ident(""), ident("_BYTES"), ident("_SHAPE"));
        let io = &tensor.io;
        let (count, extents) = (io.bytes, io.shape().iter().map(|&d| usize::from(d)));
        let rank = io.shape().len();
        let (name, dtype, zero_point) = (&tensor.name, names::variant(io.dtype), io.zero());
        let scale = io.scale.unwrap_or(1.0);
        let what = if prefix == "INPUT" { "Input" } else { "Output" };
        let [about, about_bytes, about_shape] = ["", "Elements, one byte each, of ", "Extents, outermost first, of "]
            .map(|s| match s {
                "" => format!("{what} `{name}`."),
                s => format!("{s}{} `{name}`.", what.to_lowercase()),
            });
        quote! {
            #[doc = #about]
            pub const #spec: ::carafe::TensorSpec = ::carafe::TensorSpec {
                name: #name,
                shape: &#shape,
                dtype: ::carafe::DType::#dtype,
                scale: #scale,
                zero_point: #zero_point,
            };
            #[doc = #about_bytes]
            pub const #bytes: usize = #count;
            #[doc = #about_shape]
            pub const #shape: [usize; #rank] = [#(#extents),*];
        }
    });
    quote!(#(#each)*)
}

fn labels(blob: &Blob) -> TokenStream {
    if blob.labels.is_empty() {
        return TokenStream::new();
    }
    let count = blob.labels.len();
    let (from, length): (Vec<usize>, Vec<usize>) = blob.labels.iter().copied().unzip();
    quote! {
        /// Labels of the classes of the first output: the text in the blob.
        pub static LABELS: [&str; #count] = {
            const fn text(from: usize, length: usize) -> &'static str {
                match ::core::str::from_utf8(BLOB.bytes().split_at(from).1.split_at(length).0) {
                    ::core::result::Result::Ok(text) => text,
                    ::core::result::Result::Err(_) => "",
                }
            }
            [#(text(#from, #length)),*]
        };
    }
}

/// How a model is made ready: one with a state takes memory for it, for good.
fn new(blob: &Blob) -> TokenStream {
    if blob.state_bytes == 0 {
        return quote! {
            /// Makes the model ready, once for all inferences. The blob was verified when this was compiled.
            ///
            /// # Errors
            /// Where no blob is, as in flash that has not been written.
            pub fn new() -> ::core::result::Result<Self, ::carafe::BlobError> {
                ::core::result::Result::Ok(Self { session: ::carafe::Session::new(model()?) })
            }
        };
    }
    quote! {
        /// Makes the model ready, once for all inferences. The blob was verified when this was compiled. What outlives an
        /// inference lies in `state`, and begins reset.
        ///
        /// # Errors
        /// Where no blob is, as in flash that has not been written.
        pub fn new(state: &'static mut State) -> ::core::result::Result<Self, ::carafe::BlobError> {
            // `State` has as many bytes as the blob says.
            let session = ::carafe::Session::with_state(model()?, state).map_err(|_| ::carafe::BlobError::Header)?;
            ::core::result::Result::Ok(Self { session })
        }

        /// Forgets what was before: a new sequence begins.
        pub fn reset_state(&mut self) {
            self.session.reset_state();
        }
    }
}

/// The model ready to run.
fn net(blob: &Blob) -> TokenStream {
    let pushed = blob.pushed;
    let n = blob.inputs.len();
    let index: Vec<usize> = (0..n).collect();
    let numbered = |prefix: &str, suffix: &str| -> Vec<Ident> {
        index.iter().map(|&i| names::numbered(prefix, i, suffix)).collect()
    };
    let (argument, bytes) = (numbered("input", ""), numbered("INPUT", "_BYTES"));
    let element = blob.inputs.iter().map(|t| names::element(t.io.dtype));
    let read = |i: usize| {
        let spec = names::numbered("OUTPUT", i, "");
        let labels = if i == 0 && !blob.labels.is_empty() { quote!(&LABELS) } else { quote!(&[]) };
        quote!(::carafe::Output::read(self.session.model(), arena, #i, const { &#spec }, #labels)?)
    };
    let outputs: Vec<TokenStream> = (0..blob.outputs.len()).map(read).collect();
    let (output, result) = match &outputs[..] {
        [one] => (quote!(::carafe::Output<'a>), quote!(#one)),
        more => {
            let count = more.len();
            (quote!([::carafe::Output<'a>; #count]), quote!([#(#more),*]))
        }
    };
    let new = new(blob);
    quote! {
        /// The model, ready to run.
        #[derive(Debug)]
        pub struct Net {
            session: ::carafe::Session<'static>,
        }

        impl Net {
            #new

            /// One inference. Inputs are quantized, row by row, channels innermost; `arena` has at least `ARENA_BYTES` bytes,
            /// whatever is in them. The result lies in the arena.
            ///
            /// # Errors
            /// `ArenaTooSmall`; `Plan`, where the blob is wrong in meaning.
            pub fn run<'a>(
                &mut self,
                arena: &'a mut [u8],
                #(#argument: &[#element; #bytes]),*
            ) -> ::core::result::Result<#output, ::carafe::RunError> {
                #(let mut #argument = #argument.iter();)*
                self.run_with(arena, |i, to| match i {
                    #(#index => ::carafe::typed::copy(&mut #argument, to),)*
                    _ => {}
                })
            }

            /// One inference whose inputs are written where the arena wants them: `fill(i, to)` writes the next bytes of
            /// input `i`, all of them, or one row where the input is pushed. Elements that are `i8` are cast to
            /// bytes.
            ///
            /// # Errors
            /// As `run`.
            pub fn run_with<'a>(
                &mut self,
                arena: &'a mut [u8],
                fill: impl ::core::ops::FnMut(usize, &mut [u8]),
            ) -> ::core::result::Result<#output, ::carafe::RunError> {
                ::carafe::typed::infer::<#pushed>(&mut self.session, arena, fill)?;
                ::core::result::Result::Ok(#result)
            }

            /// The session underneath: to step, probe or await.
            pub fn session(&mut self) -> &mut ::carafe::Session<'static> {
                &mut self.session
            }
        }
    }
}
