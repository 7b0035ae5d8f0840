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

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use wasm_bindgen::JsValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{LONGEST_MS, Timer};
    use crate::clock;
    use crate::testing::{Calls, Signal};

    #[wasm_bindgen_test]
    async fn it_fires_once_and_can_be_armed_for_the_same_moment_again() {
        let fired = Signal::default();
        let timer = Timer::new(fired.teller(|()| "fired".to_owned()));
        let at = Some(clock::now());
        timer.arm(at);
        assert_eq!(fired.next().await, "fired");
        timer.went_off();
        timer.arm(at);
        assert_eq!(fired.next().await, "fired");
    }

    #[wasm_bindgen_test]
    fn the_same_moment_is_armed_once_and_another_in_its_place() {
        let calls = Calls::of("setTimeout");
        let cleared = Calls::of("clearTimeout");
        let timer = Timer::new(|()| ());
        let at = |ms| Some(clock::now() + std::time::Duration::from_millis(ms));
        let first = at(60_000);
        timer.arm(first);
        timer.arm(first);
        assert_eq!((calls.count(), cleared.count()), (1, 0));
        timer.arm(at(90_000));
        assert_eq!((calls.count(), cleared.count()), (2, 1));
        timer.arm(None);
        drop(timer);
        assert_eq!((calls.count(), cleared.count()), (2, 2));
    }

    #[wasm_bindgen_test]
    fn a_delay_is_never_longer_than_the_browser_takes() {
        let calls = Calls::of("setTimeout");
        let timer = Timer::new(|()| ());
        timer.arm(Some(wakecast::Instant::from_millis(u64::MAX)));
        assert_eq!(calls.last(1), JsValue::from(LONGEST_MS as f64));
        timer.arm(None);
    }

    #[wasm_bindgen_test]
    fn what_is_gone_does_not_fire() {
        let cleared = Calls::of("clearTimeout");
        let fired = Rc::new(Cell::new(false));
        let told = Rc::clone(&fired);
        let timer = Timer::new(move |()| told.set(true));
        timer.arm(Some(clock::now()));
        drop(timer);
        assert_eq!((cleared.count(), fired.get()), (1, false));
    }
}
