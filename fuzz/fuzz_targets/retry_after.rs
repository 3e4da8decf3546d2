#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| cuecard_fuzz::retry_after(input));
