//! The gateway as a process: the function behind its two APIs, which can be killed and started
//! again on the same ports.

use std::net::SocketAddr;
use std::sync::Arc;

use wakecast_lambda::gateway::{Gateway, GatewayConfig, GatewayConfigError, GatewayPorts};

use super::timeline::Timeline;
use super::watching::{HttpFunction, WebSocketFunction};
use super::{LocalError, STACK, listen};
use crate::Listener;
use crate::gateway::{HttpApi, Sockets, WebSocketApi};
use crate::listener::KeptPort;

/// Where the gateway is served, and what is needed to start it again.
#[derive(Debug)]
pub(super) struct Gate {
    websocket: SocketAddr,
    access: SocketAddr,
    sockets: Sockets,
    timeline: Timeline,
    ports: GatewayPorts,
    config: GatewayConfig,
    serving: Option<Serving>,
    /// The ports of a gateway that was killed.
    kept: Option<(KeptPort, KeptPort)>,
}

#[derive(Debug)]
struct Serving {
    websocket: WebSocketApi,
    access: HttpApi,
}

impl Gate {
    /// Serves the gateway on the WebSocket API's and the HTTP API's listener.
    pub(super) fn open(
        (websocket, access): (Listener, Listener),
        sockets: Sockets,
        timeline: Timeline,
        ports: GatewayPorts,
        config: GatewayConfig,
    ) -> Result<Self, GatewayConfigError> {
        let mut gate = Self {
            websocket: websocket.address,
            access: access.address,
            sockets,
            timeline,
            ports,
            config,
            serving: None,
            kept: None,
        };
        gate.serve(websocket, access)?;
        Ok(gate)
    }

    pub(super) fn websocket_url(&self) -> String {
        format!("ws://{}/{STACK}", self.websocket)
    }

    pub(super) fn access_url(&self) -> String {
        format!("http://{}", self.access)
    }

    /// Ends the process at once, and returns when nobody listens on its ports. They stay ours.
    pub(super) async fn kill(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.websocket.kill().await;
            serving.access.shutdown().await;
            let ports = (KeptPort::keep(self.websocket), KeptPort::keep(self.access));
            // Without them the ports are taken anew, which fails only if somebody else was faster.
            self.kept = match ports {
                (Ok(websocket), Ok(access)) => Some((websocket, access)),
                _ => None,
            };
        }
    }

    pub(super) fn serves(&self) -> bool {
        self.serving.is_some()
    }

    /// Ends the process at once, without waiting.
    pub(super) fn abandon(&mut self) {
        self.serving = None;
    }

    /// Starts a process that remembers nothing. Does nothing while one serves.
    pub(super) async fn reopen(&mut self) -> Result<(), LocalError> {
        if self.serving.is_none() {
            let (websocket, access) = match self.kept.take() {
                Some((websocket, access)) => (
                    again(self.websocket, websocket)?,
                    again(self.access, access)?,
                ),
                None => (listen(self.websocket).await?, listen(self.access).await?),
            };
            self.serve(websocket, access)?;
        }
        Ok(())
    }

    /// Lets nobody in any more and waits for the connections there are; close them first.
    pub(super) async fn shut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.websocket.shutdown().await;
            serving.access.shutdown().await;
        }
    }

    fn serve(&mut self, websocket: Listener, access: Listener) -> Result<(), GatewayConfigError> {
        let gateway = Arc::new(Gateway::new(self.ports.clone(), self.config.clone())?);
        let function = WebSocketFunction {
            gateway: gateway.clone(),
            timeline: self.timeline.clone(),
        };
        let clock = self.ports.clock.clone();
        self.serving = Some(Serving {
            websocket: WebSocketApi::serve(
                websocket,
                STACK,
                self.sockets.clone(),
                Arc::new(function),
            ),
            access: HttpApi::serve(access, clock, Arc::new(HttpFunction(gateway))),
        });
        Ok(())
    }
}

fn again(address: SocketAddr, port: KeptPort) -> Result<Listener, LocalError> {
    port.listen()
        .map_err(|source| LocalError::Port { address, source })
}
