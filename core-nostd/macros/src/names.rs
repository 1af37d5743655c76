//! Names in the program that is written.

use std::path::Path;

use carafe::arithmetic::{Arithmetic, Native, Tflite};
use carafe::{DType, OpCode, ops};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Ident, Result};

/// The name of a module for a file: that of the file without its extension.
pub fn module(path: &Path, span: Span) -> Result<Ident> {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
    let mut name: String =
        stem.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    let parsed: Result<Ident> = syn::parse_str(&name);
    parsed
        .map(|mut ident| {
            ident.set_span(span);
            ident
        })
        .map_err(|_| Error::new(span, format!("`{name}` can't be the name of a module; give one: `mod NAME = \"…\"`")))
}

/// `NAME`, `NAME_1`, `NAME_2`, … with `suffix` behind it.
pub fn numbered(name: &str, i: usize, suffix: &str) -> Ident {
    match i {
        0 => format_ident!("{name}{suffix}"),
        _ => format_ident!("{name}_{i}{suffix}"),
    }
}

/// The type of the kernel of an op, as `registry!` takes it, with no other loops than these if it has a choice of them.
pub fn kernel(op: OpCode, arithmetic: u8, loops: u16) -> TokenStream {
    let name = format_ident!("{}", op.name());
    // An op has an entry for each arithmetic that it is generic over, or a single one.
    let generic = ops::ALL.ops().iter().filter(|e| e.code() == op).count() > 1;
    match arithmetic {
        _ if !generic => quote!(::carafe::ops::#name),
        Native::ID if loops != 0 => quote!(::carafe::ops::#name<::carafe::arithmetic::Native, #loops>),
        Native::ID => quote!(::carafe::ops::#name<::carafe::arithmetic::Native>),
        Tflite::ID => quote!(::carafe::ops::#name<::carafe::arithmetic::Tflite>),
        _ => quote!(::carafe::ops::#name),
    }
}

/// The variant of a type of elements.
pub fn variant(dtype: DType) -> TokenStream {
    match dtype {
        DType::I8 => quote!(I8),
        DType::U8 => quote!(U8),
        // The verifier refuses these.
        other => {
            let code = other.code();
            quote!(Reserved(#code))
        }
    }
}

/// Elements of an input in Rust.
pub fn element(dtype: DType) -> TokenStream {
    match dtype {
        DType::I8 => quote!(i8),
        _ => quote!(u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_after_files() {
        let name = |path: &str| module(Path::new(path), Span::call_site()).map(|i| i.to_string()).ok();
        assert_eq!(name("a/kws.carafe").as_deref(), Some("kws"));
        assert_eq!(name("MobileNet-v2 (96).carafe").as_deref(), Some("mobilenet_v2__96_"));
        assert_eq!(name("3d.carafe").as_deref(), Some("_3d"));
        assert_eq!(name("mod.carafe"), None);
        assert_eq!(name(".."), None);
    }

    /// Every kernel is written as the list of all ops has it.
    #[test]
    fn kernels_are_called_as_in_the_list_of_ops() {
        let source: String = include_str!("../../src/ops/mod.rs").split_whitespace().collect();
        let list = source.split("registry![").nth(1).and_then(|s| s.split("];").next()).unwrap();
        let mut listed: Vec<&str> = list.split(',').filter(|s| !s.is_empty()).collect();
        let mut named = vec![];
        for entry in ops::ALL.ops() {
            for arithmetic in [Native::ID, Tflite::ID] {
                let path = kernel(entry.code(), arithmetic, 0).to_string().replace(' ', "");
                named.push(path.replace("::carafe::ops::", "").replace("::carafe::arithmetic::", ""));
            }
        }
        named.sort();
        named.dedup();
        listed.sort();
        assert_eq!(named, listed);
    }
}
