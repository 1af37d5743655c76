//! What the macro is given: `[attributes] [visibility mod name =] path`.

use std::path::PathBuf;

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Ident, Lit, LitStr, Result, Token, Visibility};

use crate::names;

/// The arguments.
pub struct Arguments {
    /// Attributes of the module.
    pub attributes: Vec<Attribute>,
    /// Its visibility.
    pub visibility: Visibility,
    /// Its name.
    pub name: Ident,
    /// The blob, absolute if the package's folder is known.
    pub path: PathBuf,
    /// Where the path stands.
    pub span: Span,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let mut name = None;
        if input.peek(Token![mod]) {
            input.parse::<Token![mod]>()?;
            name = Some(input.parse::<Ident>()?);
            input.parse::<Token![=]>()?;
        } else if !attributes.is_empty() || !matches!(visibility, Visibility::Inherited) {
            return Err(input.error("expected `mod NAME = PATH`"));
        }
        let expression: Expr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("expected one path and nothing more"));
        }
        let span = syn::spanned::Spanned::span(&expression);
        let mut path = PathBuf::from(text(&expression)?);
        if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR").filter(|_| path.is_relative()) {
            path = PathBuf::from(folder).join(path);
        }
        let name = match name {
            Some(name) => name,
            None => names::module(&path, span)?,
        };
        Ok(Self { attributes, visibility, name, path, span })
    }
}

/// The value of a string literal, `env!` or `concat!`.
fn text(expression: &Expr) -> Result<String> {
    let fail = |what: &str| Err(Error::new_spanned(expression, what));
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(s) => Ok(s.value()),
            _ => fail("expected the path of a blob, as a string"),
        },
        // What a `macro_rules!` macro passes on.
        Expr::Group(group) => text(&group.expr),
        Expr::Macro(call) if call.mac.path.is_ident("env") => {
            let name: LitStr = call.mac.parse_body()?;
            std::env::var(name.value()).map_err(|_| {
                let why = if name.value() == "OUT_DIR" { ": the package has no build script" } else { "" };
                Error::new_spanned(expression, format!("`{}` is not set{why}", name.value()))
            })
        }
        Expr::Macro(call) if call.mac.path.is_ident("concat") => {
            let parts = call.mac.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
            parts.iter().map(text).collect()
        }
        _ => fail("expected a string, `env!(\"NAME\")`, or `concat!` of these"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn parse(tokens: proc_macro2::TokenStream) -> std::result::Result<Arguments, String> {
        syn::parse2(tokens).map_err(|e| e.to_string())
    }

    fn here() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn short_and_long_form() {
        let a = parse(quote!("models/kws.carafe")).unwrap();
        assert_eq!((a.name.to_string(), a.path), ("kws".into(), here().join("models/kws.carafe")));
        assert!(matches!(a.visibility, Visibility::Inherited));
        let a = parse(quote!(#[doc = "x"] pub(crate) mod spotter = "kws.carafe",)).unwrap();
        assert_eq!((a.name.to_string(), a.attributes.len()), ("spotter".into(), 1));
        assert!(matches!(a.visibility, Visibility::Restricted(_)));
    }

    #[test]
    fn paths_of_the_environment() {
        let a = parse(quote!(concat!(env!("CARGO_MANIFEST_DIR"), "/", concat!("a", ".carafe")))).unwrap();
        assert_eq!(a.path, PathBuf::from(format!("{}/a.carafe", env!("CARGO_MANIFEST_DIR"))));
        let unset = parse(quote!(env!("CARAFE_NO_SUCH_VARIABLE"))).err().unwrap();
        assert!(unset.contains("CARAFE_NO_SUCH_VARIABLE"), "{unset}");
    }

    #[test]
    fn faults_are_errors() {
        for wrong in
            [quote!(), quote!(7), quote!(PATH), quote!("a" "b"), quote!(pub "a"), quote!(mod a "b"), quote!(mod)]
        {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
