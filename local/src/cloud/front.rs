//! An Elastic IP on loopback: one fixed port that leads to whichever instance it is on.

use std::fmt;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use wakecast_lambda::model::InstanceId;

use super::machines::MediaMachines;
use crate::Listener;

/// The port and the task that serves it. Dropping it ends every connection.
pub(super) struct ElasticFront(JoinHandle<()>);

impl ElasticFront {
    /// Leads connections to where `machines` is told that the address leads.
    pub(super) fn serve(listener: Listener, machines: MediaMachines) -> Self {
        Self(tokio::spawn(accept(listener, machines)))
    }

    /// Ends it at once and waits until its port is free.
    pub(super) async fn shutdown(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for ElasticFront {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for ElasticFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ElasticFront")
    }
}

async fn accept(listener: Listener, machines: MediaMachines) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.inner.accept() => match accepted {
                Ok((client, _)) => {
                    let target = machines.elastic_target();
                    connections.spawn(lead(client, machines.clone(), target));
                }
                // Out of descriptors, or a connection that ended before it was taken.
                Err(error) => tracing::debug!(%error, "accept"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Copies both ways until one side ends or the address moves, which breaks connections on AWS too.
async fn lead(
    mut client: TcpStream,
    machines: MediaMachines,
    mut target: watch::Receiver<Option<InstanceId>>,
) {
    let instance = target.borrow_and_update().clone();
    let Some(address) = instance.and_then(|id| machines.address(&id)) else {
        return;
    };
    let copying = async {
        let mut server = TcpStream::connect(address).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        copied = copying => {
            if let Err(error) = copied {
                tracing::debug!(%error, "elastic address");
            }
        }
        _ = target.changed() => {}
    }
}
