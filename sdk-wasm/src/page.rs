//! What the page and the browser tell: network, foreground, background.

use js_sys::Reflect;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Event, EventTarget};

/// Events of `window`; a worker has the first two only.
const OF_WINDOW: [&str; 4] = ["online", "offline", "pagehide", "pageshow"];
/// Events of `document`.
const OF_DOCUMENT: [&str; 3] = ["visibilitychange", "freeze", "resume"];

/// What happened to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageEvent {
    /// The browser has a network again.
    Online,
    /// The browser has none.
    Offline,
    /// The page is seen, or is back from the back/forward cache or a freeze.
    Shown,
    /// The page is frozen.
    Frozen,
    /// The page is left. It may come back from the back/forward cache, which takes no page with
    /// an open socket.
    Left,
}

/// Listens until it is dropped.
pub(crate) struct Page {
    listener: Closure<dyn FnMut(Event)>,
    targets: Vec<(EventTarget, &'static [&'static str])>,
}

impl Page {
    pub(crate) fn watch(mut tell: impl FnMut(PageEvent) + 'static) -> Self {
        let listener = Closure::new(move |event: Event| {
            if let Some(event) = read(&event) {
                tell(event);
            }
        });
        let global: JsValue = js_sys::global().into();
        let document = Reflect::get(&global, &"document".into()).unwrap_or_default();
        let targets: Vec<(EventTarget, &[&str])> = [
            (global, OF_WINDOW.as_slice()),
            (document, OF_DOCUMENT.as_slice()),
        ]
        .into_iter()
        .filter_map(|(target, names)| Some((target.dyn_into().ok()?, names)))
        .collect();
        for (target, name) in each(&targets) {
            let _ =
                target.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        }
        Self { listener, targets }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for (target, name) in each(&self.targets) {
            let function = self.listener.as_ref().unchecked_ref();
            let _ = target.remove_event_listener_with_callback(name, function);
        }
    }
}

fn each<'a>(
    targets: &'a [(EventTarget, &'static [&'static str])],
) -> impl Iterator<Item = (&'a EventTarget, &'static str)> {
    targets
        .iter()
        .flat_map(|(target, names)| names.iter().map(move |name| (target, *name)))
}

fn read(event: &Event) -> Option<PageEvent> {
    Some(match event.type_().as_str() {
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "pageshow" | "resume" => PageEvent::Shown,
        "freeze" => PageEvent::Frozen,
        "pagehide" => PageEvent::Left,
        // A hidden page changes nothing; one that is seen again may have slept.
        _ if visible(event) => PageEvent::Shown,
        _ => return None,
    })
}

fn visible(event: &Event) -> bool {
    event
        .target()
        .and_then(|document| Reflect::get(&document, &"visibilityState".into()).ok())
        .is_some_and(|state| state == "visible")
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::Page;
    use crate::testing::{Signal, script};

    fn dispatch(target: &str, name: &str) {
        script(&format!("{target}.dispatchEvent(new Event('{name}'))"));
    }

    /// Says to the page that it is seen, or not, and tells it.
    fn visibility(state: &str) {
        let answer = format!("{{ configurable: true, get: () => '{state}' }}");
        script(&format!(
            "Object.defineProperty(document, 'visibilityState', {answer})"
        ));
        dispatch("document", "visibilitychange");
        script("delete document.visibilityState");
    }

    #[wasm_bindgen_test]
    async fn n12_n18_each_event_of_the_page_means_what_it_should() {
        let heard = Signal::default();
        let page = Page::watch(heard.teller(|event| format!("{event:?}")));
        for (target, name, means) in [
            ("window", "offline", "Offline"),
            ("window", "online", "Online"),
            ("window", "pagehide", "Left"),
            ("window", "pageshow", "Shown"),
            ("document", "freeze", "Frozen"),
            ("document", "resume", "Shown"),
        ] {
            dispatch(target, name);
            assert_eq!(heard.next().await, means, "{name}");
        }
        visibility("hidden");
        assert!(heard.is_empty(), "a hidden page changes nothing");
        visibility("visible");
        assert_eq!(heard.next().await, "Shown");
        drop(page);
        dispatch("window", "online");
        dispatch("document", "freeze");
        assert!(heard.is_empty(), "it listens no more");
    }
}
