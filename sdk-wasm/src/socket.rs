//! One WebSocket of the browser.

use js_sys::Array;
use wakecast::machine::TransportEnd;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

/// What a socket tells.
pub(crate) enum Happening {
    /// It is open, with the subprotocol that the server chose.
    Opened(Option<String>),
    /// A text arrived.
    Text(String),
    /// Something else arrived.
    Binary,
    /// It never opened. The browser does not say why.
    Refused,
    /// It was open, and closed.
    Closed(TransportEnd),
}

/// A socket and its listener. Dropping it takes the listener off and closes it.
pub(crate) struct Socket {
    socket: WebSocket,
    _listener: Closure<dyn FnMut(Event)>,
}

impl Socket {
    /// Begins to open a socket. `tell` is called for whatever happens to it.
    ///
    /// The error is the browser's: an address or a subprotocol that it does not take, or a policy
    /// of the page that forbids the connection.
    pub(crate) fn open(
        url: &str,
        subprotocols: &[&str],
        mut tell: impl FnMut(Happening) + 'static,
    ) -> Result<Self, JsValue> {
        let protocols: Array = subprotocols
            .iter()
            .map(|text| JsValue::from(*text))
            .collect();
        let socket = WebSocket::new_with_str_sequence(url, &protocols)?;
        let mut opened = false;
        let listener = Closure::new(move |event: Event| match read(&event) {
            Some(Happening::Closed(_)) if !opened => tell(Happening::Refused),
            Some(happening) => {
                opened = true;
                tell(happening);
            }
            None => {}
        });
        let function = Some(listener.as_ref().unchecked_ref());
        socket.set_onopen(function);
        socket.set_onmessage(function);
        // `error` tells nothing, and `close` always follows it.
        socket.set_onclose(function);
        Ok(Self {
            socket,
            _listener: listener,
        })
    }

    /// Hands a text to the browser, which queues it. A socket that closes meanwhile says so itself.
    pub(crate) fn send(&self, text: &str) {
        let _ = self.socket.send_with_str(text);
    }

    /// Closes with a code. What was sent before is written first. A page may not send every code;
    /// for the others the browser chooses.
    pub(crate) fn close(self, code: u16) {
        if self.socket.close_with_code(code).is_err() {
            let _ = self.socket.close();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Chrome may deliver `close` minutes late: nobody listens from here on.
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // Closing what is closed does nothing.
        let _ = self.socket.close();
    }
}

fn read(event: &Event) -> Option<Happening> {
    if let Some(message) = event.dyn_ref::<MessageEvent>() {
        return Some(
            message
                .data()
                .as_string()
                .map_or(Happening::Binary, Happening::Text),
        );
    }
    if let Some(close) = event.dyn_ref::<CloseEvent>() {
        return Some(Happening::Closed(match close.code() {
            // These two stand for "no code" and never travel.
            1005 | 1006 => TransportEnd::Dropped,
            code => TransportEnd::Code(code),
        }));
    }
    let socket: WebSocket = event.target()?.dyn_into().ok()?;
    let protocol = socket.protocol();
    Some(Happening::Opened(
        (!protocol.is_empty()).then_some(protocol),
    ))
}

#[cfg(all(test, target_arch = "wasm32"))]
pub(crate) mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Happening, Socket};
    use crate::testing::{Signal, script};

    /// Puts a socket in the page's place that a test opens, feeds and closes by hand: `window.made`.
    pub(crate) const STAND_IN: &str = "
        window.WebSocket = class extends EventTarget {
            static [Symbol.hasInstance](value) { return value instanceof EventTarget && 'sent' in value }
            constructor(url, protocols) {
                super();
                Object.assign(this, { url, protocols, protocol: '', sent: [], closed: [] });
                window.made = this;
            }
            send(text) { this.sent.push(text) }
            close(code) { this.closed.push(code) }
            tell(event) { this['on' + event.type]?.call(this, Object.defineProperty(event, 'target', { value: this })) }
        }";

    pub(crate) fn tell(event: &str) {
        script(&format!("window.made.tell({event})"));
    }

    fn word(happening: Happening) -> String {
        match happening {
            Happening::Opened(protocol) => format!("opened {protocol:?}"),
            Happening::Text(text) => format!("text {text}"),
            Happening::Binary => "binary".into(),
            Happening::Refused => "refused".into(),
            Happening::Closed(end) => format!("closed {end:?}"),
        }
    }

    fn open(heard: &Signal) -> Socket {
        script(STAND_IN);
        Socket::open("wss://gateway.example", &["a", "b"], heard.teller(word)).unwrap()
    }

    #[wasm_bindgen_test]
    async fn what_happens_to_a_socket_is_told_in_order() {
        let heard = Signal::default();
        let socket = open(&heard);
        assert_eq!(script("return window.made.protocols.join()"), "a,b");
        script("window.made.protocol = 'a'");
        tell("new Event('open')");
        assert_eq!(heard.next().await, "opened Some(\"a\")");
        socket.send("hello");
        assert_eq!(script("return window.made.sent.join()"), "hello");
        tell("new MessageEvent('message', { data: 'welcome' })");
        assert_eq!(heard.next().await, "text welcome");
        tell("new MessageEvent('message', { data: new Blob([]) })");
        assert_eq!(heard.next().await, "binary");
        tell("new CloseEvent('close', { code: 1012 })");
        assert_eq!(heard.next().await, "closed Code(1012)");
    }

    #[wasm_bindgen_test]
    async fn a_close_without_an_open_is_a_refusal_and_without_a_code_a_drop() {
        let heard = Signal::default();
        let refused = open(&heard);
        tell("new CloseEvent('close', { code: 1006 })");
        assert_eq!(heard.next().await, "refused");
        drop(refused);
        let _dropped = open(&heard);
        tell("new Event('open')");
        assert_eq!(heard.next().await, "opened None");
        tell("new CloseEvent('close', { code: 1006 })");
        assert_eq!(heard.next().await, "closed Dropped");
    }

    #[wasm_bindgen_test]
    async fn a_close_that_comes_late_finds_nobody() {
        let heard = Signal::default();
        let socket = open(&heard);
        tell("new Event('open')");
        assert_eq!(heard.next().await, "opened None");
        drop(socket);
        tell("new CloseEvent('close', { code: 1000 })");
        assert!(heard.is_empty());
        assert_eq!(script("return window.made.onclose == null"), true);
        assert_eq!(script("return window.made.closed.length"), 1);
    }
}
