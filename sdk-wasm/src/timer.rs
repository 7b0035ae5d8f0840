//! The one timer.

use std::cell::RefCell;

use wakecast::Instant;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast as _, JsValue};

use crate::clock;

/// The longest delay that `setTimeout` takes; a longer one fires at once. Firing early is harmless.
const LONGEST_MS: u64 = i32::MAX as u64;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &js_sys::Function, delay_ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// One `setTimeout`, set anew for whatever comes first.
pub(crate) struct Timer {
    fire: Closure<dyn FnMut()>,
    armed: RefCell<Option<(Instant, JsValue)>>,
}

impl Timer {
    pub(crate) fn new(mut fire: impl FnMut(()) + 'static) -> Self {
        Self {
            fire: Closure::new(move || fire(())),
            armed: RefCell::new(None),
        }
    }

    /// Fires at `at`, or not at all. `fired` says that the last one went off.
    pub(crate) fn arm(&self, at: Option<Instant>) {
        let mut armed = self.armed.borrow_mut();
        if armed.as_ref().map(|(at, _)| *at) == at {
            return;
        }
        if let Some((_, timer)) = armed.take() {
            clear_timeout(&timer);
        }
        *armed = at.map(|at| {
            let left = at.as_millis().saturating_sub(clock::now().as_millis());
            let handler = self.fire.as_ref().unchecked_ref();
            (at, set_timeout(handler, left.min(LONGEST_MS) as f64))
        });
    }

    /// Forgets the timer that went off, so that the same moment can be armed again.
    pub(crate) fn went_off(&self) {
        self.armed.borrow_mut().take();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.arm(None);
    }
}
