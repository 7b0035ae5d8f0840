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

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use std::time::Duration;

    use wakecast::machine::WallClock;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{now, wall};
    use crate::testing::script;

    #[wasm_bindgen_test]
    fn n17_a_wall_clock_that_ran_on_while_the_page_stood_is_a_jump() {
        let mut clock = WallClock::default();
        assert!(!clock.jumped(now(), wall()), "the first look");
        assert!(!clock.jumped(now(), wall()), "both went on alike");
        script(
            "const was = Date.now; Date.now = () => was() + 60000; Date.back = () => { Date.now = was }",
        );
        assert!(clock.jumped(now(), wall()), "a minute of sleep");
        assert!(!clock.jumped(now(), wall()), "told once");
        script("Date.back(); delete Date.back");
        let later = wall() + Duration::from_secs(1);
        assert!(later > wall(), "in milliseconds");
    }
}
