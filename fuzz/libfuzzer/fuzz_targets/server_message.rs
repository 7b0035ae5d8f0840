#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wakecast_fuzz::server_message(bytes));
