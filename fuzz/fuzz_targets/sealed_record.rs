#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| valetkey_fuzz::sealed_record(data));
