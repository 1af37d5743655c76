#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carafe_fuzz_bodies::blob::check(data));
