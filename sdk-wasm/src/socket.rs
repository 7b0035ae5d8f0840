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
