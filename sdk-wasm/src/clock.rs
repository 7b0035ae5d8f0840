//! The browser's two clocks.

use wakecast::Instant;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn date_now() -> f64;
}

/// The monotonic time of the page.
pub(crate) fn now() -> Instant {
    Instant::from_millis(performance_now() as u64)
}

/// The wall clock in milliseconds: only to notice that the device slept, never to decide by.
pub(crate) fn wall() -> Instant {
    Instant::from_millis(date_now() as u64)
}
