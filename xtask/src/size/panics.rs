//! The rule by which a firmware counts as free of panics.
//!
//! A firmware is free of panics if its linked program defines no function
//!
//! 1. whose path has a segment `panicking` (`core::panicking::panic_bounds_check`, `panic_fmt` and all their kin), or
//! 2. in `core`, `alloc` or `std`, of whose path a segment begins with `panic`, ends with `_fail` or `_failed`, or has
//!    `_fail_` in it (`slice_index_fail`, `unwrap_failed`, `expect_failed`, `len_mismatch_fail`), or
//! 3. that is the panic handler (`rust_begin_unwind`, `rust_panic`).
//!
//! A firmware has to have a panic handler, for the language asks for one; while nothing calls it the linker leaves it
//! out, so that its presence proves a panic even where the compiler has inlined all the rest.
//!
//! A handler that does what another function does may be merged with it, and then escapes point 3; point 1 still
//! holds, for `core::panicking::panic_fmt` is never inlined and every panic goes through it. `boards/size` has a
//! program that panics, and the check has to find it there at each run.

use super::elf::{Program, Symbol};

/// The symbols that show that a program can panic.
pub fn found(program: &Program) -> Vec<&Symbol> {
    program.symbols.iter().filter(|symbol| shows_panic(&symbol.name)).collect()
}

fn shows_panic(name: &str) -> bool {
    let path = path(name);
    let segments: Vec<&str> = path.split("::").collect();
    let in_std = segments.first().is_some_and(|first| ["core", "alloc", "std"].contains(first));
    segments.iter().any(|segment| match *segment {
        "panicking" | "rust_begin_unwind" | "rust_panic" => true,
        s => {
            in_std && (s.starts_with("panic") || s.ends_with("_fail") || s.ends_with("_failed") || s.contains("_fail_"))
        }
    })
}

/// The path of a name without type arguments: `<core::cell::RefCell<T>>::borrow` is `core::cell::RefCell::borrow`.
fn path(name: &str) -> String {
    let (mut path, mut depth) = (String::new(), 0u32);
    let name = name.strip_prefix('<').unwrap_or(name);
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => path.push(c),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_recognised() {
        for name in [
            "core::panicking::panic_fmt",
            "core::panicking::panic_const::panic_const_div_by_zero",
            "core::slice::index::slice_index_fail",
            "core::slice::index::slice_end_index_len_fail::do_panic::runtime",
            "core::slice::copy_from_slice_impl::len_mismatch_fail",
            "core::option::unwrap_failed",
            "core::option::expect_failed",
            "core::result::unwrap_failed",
            "core::cell::panic_already_borrowed",
            "core::str::slice_error_fail_rt",
            "__rustc::rust_begin_unwind",
            "rust_begin_unwind",
            "<core::option::Option<T>>::expect_failed",
        ] {
            assert!(shows_panic(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_panic_is_left_alone() {
        for name in [
            "core::num::<impl u32>::checked_div",
            "carafe::model::Model::check_nodes",
            "<carafe::ops::add::Add<A> as carafe::node::Kernel>::eval",
            "carafe::session::Run<P>::run_failed",
            "HardFault",
            "compiler_builtins::mem::memcpy",
        ] {
            assert!(!shows_panic(name), "{name}");
        }
    }
}
