//! What the driver's tests in a browser use.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// What happened, as texts, in order; a test waits for the next.
#[derive(Clone, Default)]
pub(crate) struct Signal(Rc<RefCell<Heard>>);

#[derive(Default)]
struct Heard {
    told: VecDeque<String>,
    waiter: Option<Function>,
}

impl Signal {
    /// A callback that tells what it is called with.
    pub(crate) fn teller<T: 'static>(
        &self,
        word: impl Fn(T) -> String + 'static,
    ) -> Box<dyn FnMut(T)> {
        let own = self.clone();
        Box::new(move |what| {
            let mut heard = own.0.borrow_mut();
            heard.told.push_back(word(what));
            if let Some(waiter) = heard.waiter.take() {
                waiter.call0(&JsValue::NULL).unwrap();
            }
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().told.is_empty()
    }

    /// Waits for what is told next.
    pub(crate) async fn next(&self) -> String {
        loop {
            if let Some(told) = self.0.borrow_mut().told.pop_front() {
                return told;
            }
            let more = Promise::new(&mut |resolve, _| self.0.borrow_mut().waiter = Some(resolve));
            JsFuture::from(more).await.unwrap();
        }
    }
}

/// Records the calls of a function of the page, which still works, until it is dropped.
pub(crate) struct Calls {
    name: &'static str,
    was: JsValue,
    seen: Array,
}

impl Calls {
    pub(crate) fn of(name: &'static str) -> Self {
        let global = js_sys::global();
        let was = Reflect::get(&global, &name.into()).unwrap();
        let seen = Array::new();
        let record =
            Function::new_with_args("was, seen", "return (...a) => (seen.push(a), was(...a))")
                .call2(&JsValue::NULL, &was, &seen)
                .unwrap();
        Reflect::set(&global, &name.into(), &record).unwrap();
        Self { name, was, seen }
    }

    pub(crate) fn count(&self) -> u32 {
        self.seen.length()
    }

    /// An argument of the last call.
    pub(crate) fn last(&self, argument: u32) -> JsValue {
        let call: Array = self.seen.get(self.seen.length() - 1).unchecked_into();
        call.get(argument)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        Reflect::set(&js_sys::global(), &self.name.into(), &self.was).unwrap();
    }
}

/// Runs a script with the page's `window`, and returns what it returns.
pub(crate) fn script(body: &str) -> JsValue {
    let script = Function::new_no_args(body);
    script.call0(&JsValue::NULL).unwrap()
}
