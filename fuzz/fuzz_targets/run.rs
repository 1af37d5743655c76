#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = carafe_fuzz_bodies::run::check(data);
});
