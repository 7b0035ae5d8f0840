//! Proves an endpoint from this page's own network: a WebSocket that opens and an application that
//! answers a ping.

use std::cell::RefCell;
use std::rc::Rc;

use wakecast::protocol::{MEDIA_PING, is_media_pong};
use wasm_bindgen::JsValue;

use crate::socket::{Happening, Socket};

/// A proof under way. Dropping it gives it up.
pub(crate) struct Probe {
    _socket: Rc<RefCell<Option<Socket>>>,
}

impl Probe {
    /// Begins. `tell` is called once, unless it is given up before.
    pub(crate) fn begin(
        url: &str,
        mut tell: impl FnMut(Result<(), String>) + 'static,
    ) -> Result<Self, JsValue> {
        let socket = Rc::new(RefCell::new(None::<Socket>));
        // The listener belongs to the socket, so it may hold no strong reference to it.
        let own = Rc::downgrade(&socket);
        let opened = Socket::open(url, &[], move |happening| match happening {
            Happening::Opened(_) => {
                if let Some(socket) = own.upgrade()
                    && let Some(socket) = socket.borrow().as_ref()
                {
                    socket.send(MEDIA_PING);
                }
            }
            Happening::Text(text) => {
                if is_media_pong(&text) {
                    tell(Ok(()));
                }
            }
            Happening::Binary => {}
            Happening::Refused | Happening::Closed(_) => tell(Err(
                "no WebSocket connection to the media server, or it closed before it answered"
                    .into(),
            )),
        })?;
        socket.replace(Some(opened));
        Ok(Self { _socket: socket })
    }
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::Probe;
    use crate::socket::tests::{STAND_IN, tell};
    use crate::testing::{Signal, script};

    fn begin(heard: &Signal) -> Probe {
        script(STAND_IN);
        let probe = Probe::begin(
            "wss://media.example/live/websocket",
            heard.teller(|result| match result {
                Ok(()) => "proved".to_owned(),
                Err(why) => why,
            }),
        );
        probe.unwrap()
    }

    #[wasm_bindgen_test]
    async fn a_server_that_answers_the_ping_is_proved() {
        let heard = Signal::default();
        let _probe = begin(&heard);
        tell("new Event('open')");
        let sent = script("return window.made.sent.join()");
        assert_eq!(sent, r#"{"command":"ping"}"#);
        tell(r#"new MessageEvent('message', { data: '{"command":"notification"}' })"#);
        assert!(heard.is_empty(), "anything else proves nothing");
        tell(r#"new MessageEvent('message', { data: '{"command":"pong"}' })"#);
        assert_eq!(heard.next().await, "proved");
    }

    #[wasm_bindgen_test]
    async fn a_server_that_is_not_reached_or_closes_is_not() {
        let heard = Signal::default();
        for opens in [false, true] {
            let _probe = begin(&heard);
            if opens {
                tell("new Event('open')");
            }
            tell("new CloseEvent('close', { code: 1006 })");
            assert!(heard.next().await.starts_with("no WebSocket connection"));
        }
    }

    #[wasm_bindgen_test]
    fn one_that_is_given_up_says_nothing() {
        let heard = Signal::default();
        drop(begin(&heard));
        tell(r#"new MessageEvent('message', { data: '{"command":"pong"}' })"#);
        assert!(heard.is_empty());
    }
}
