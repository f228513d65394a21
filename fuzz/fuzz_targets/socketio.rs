#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| multiwa_ws_testkit::fuzzing::socketio::run(data));
