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
