#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| cuecard_fuzz::api_requests(input));
