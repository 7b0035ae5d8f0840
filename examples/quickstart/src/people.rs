//! The four people of the story. Each is a task with a client of its own, as an app would be.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use wakecast::{
    Acquire, Acquisition, Client, ConnectionState, Error, Event, Lease, LeaseChange, Token,
    TokenError, TokenReason,
};

use crate::journal::{Entry, News, Who};
use crate::media::MediaSocket;

/// The media server's application, and the stream that everybody means.
pub(crate) const APP: &str = "live";
pub(crate) const STREAM: &str = "match-1";

/// How long a viewer waits before it asks for the stream, and again while it is not live: players
/// need a moment, and publishers too.
const PLAY_AFTER: Duration = Duration::from_millis(300);

/// What an app is configured with.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) websocket_url: String,
    pub(crate) access_url: String,
    /// Stands for the app's own backend, which signs a short-lived token for the person.
    pub(crate) sign: Arc<dyn Fn() -> Result<Token, TokenError> + Send + Sync>,
}

/// Where a person's news go.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) who: Who,
    pub(crate) begun: Instant,
    pub(crate) news: mpsc::UnboundedSender<Entry>,
}

impl Reporter {
    fn tell(&self, news: News) {
        // Nobody listens any more once the story has ended.
        let _ = self.news.send(Entry {
            at: self.begun.elapsed(),
            who: self.who,
            news,
        });
    }

    fn pass_on(&self, event: Event) {
        match event {
            Event::State(ConnectionState::Connected { session }) => {
                self.tell(News::Linked { session });
            }
            Event::State(ConnectionState::Reconnecting { .. }) => self.tell(News::Unlinked),
            Event::State(ConnectionState::Failed { error }) => self.tell(failed(&error)),
            Event::Progress { progress, .. } => self.tell(News::Waits(progress.into())),
            _ => {}
        }
    }
}

/// Publishes the stream until `end` turns true, then gives the server back.
pub(crate) async fn publisher(pass: Pass, reporter: Reporter, mut end: watch::Receiver<bool>) {
    play_out(pass, &reporter, async |client: &Client| {
        let wish = Acquire::publish(APP, STREAM);
        let lease = granted(client.acquire(wish), &reporter).await?;
        let endpoint = lease.endpoint().await.map_err(plain)?;
        let mut media = MediaSocket::open(&endpoint, STREAM).await?;
        reporter.tell(News::Pong(media.ping().await?));
        media.publish().await?;
        reporter.tell(News::Live);
        media.stay_until(end.wait_for(|end| *end)).await?;
        media.stop().await?;
        reporter.tell(News::StreamEnded);
        lease.release().await.map_err(plain)?;
        reporter.tell(News::Released);
        Ok(())
    })
    .await;
}

/// Plays the stream from when it is live to its end, then gives the server back.
pub(crate) async fn viewer(pass: Pass, reporter: Reporter) {
    play_out(pass, &reporter, async |client: &Client| {
        let wish = Acquire::play(APP, STREAM);
        let lease = granted(client.acquire(wish), &reporter).await?;
        let endpoint = lease.endpoint().await.map_err(plain)?;
        let mut media = MediaSocket::open(&endpoint, STREAM).await?;
        reporter.tell(News::Pong(media.ping().await?));
        loop {
            tokio::time::sleep(PLAY_AFTER).await;
            // Stream tokens live for seconds: the lease has a valid one at any time.
            media.present(&lease.endpoint().await.map_err(plain)?);
            if media.play().await? {
                break;
            }
        }
        reporter.tell(News::Playing);
        media.played_out().await?;
        reporter.tell(News::StreamEnded);
        lease.release().await.map_err(plain)?;
        reporter.tell(News::Released);
        Ok(())
    })
    .await;
}

/// Waits until others have woken the server, and stays until it is gone.
pub(crate) async fn watcher(pass: Pass, reporter: Reporter) {
    play_out(pass, &reporter, async |client: &Client| {
        let wish = Acquire::watch(APP, STREAM);
        let lease = granted(client.acquire(wish), &reporter).await?;
        let mut changes = lease.changes();
        while let Some(change) = changes.next().await {
            match change {
                LeaseChange::Draining { .. } => reporter.tell(News::Draining),
                LeaseChange::Lost { .. } => {
                    reporter.tell(News::Lost);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err("the lease ended without a word".to_owned())
    })
    .await;
}

/// Runs one person's script with a client of its own, and passes on what that client tells.
async fn play_out(
    pass: Pass,
    reporter: &Reporter,
    script: impl AsyncFnOnce(&Client) -> Result<(), String>,
) {
    let client = match client(pass, reporter.clone()) {
        Ok(client) => client,
        Err(error) => return reporter.tell(failed(&error)),
    };
    let mut events = client.events();
    let passing_on = async {
        while let Some(event) = events.next().await {
            reporter.pass_on(event);
        }
        pending().await
    };
    // Events first: what the client told before it granted is then in the journal before the grant.
    tokio::select! {
        biased;
        () = passing_on => {}
        outcome = script(&client) => if let Err(why) = outcome {
            // The failure comes last, since the story ends with it.
            let explanation = client.explain().await.to_string();
            for line in explanation.lines().filter(|line| !line.is_empty()) {
                reporter.tell(News::Explained(line.to_owned()));
            }
            reporter.tell(News::Failed(why));
        }
    }
    client.close().await;
}

fn client(pass: Pass, reporter: Reporter) -> Result<Client, Error> {
    let sign = pass.sign;
    Client::builder(pass.websocket_url)
        .access_url(pass.access_url)
        .token_provider(move |reason: TokenReason| {
            reporter.tell(News::TokenAsked(reason));
            let token = sign();
            async move { token }
        })
        .build()
}

async fn granted(acquisition: Acquisition, reporter: &Reporter) -> Result<Lease, String> {
    let id = acquisition.id().to_owned();
    reporter.tell(News::Asked { id });
    let lease = acquisition.await.map_err(plain)?;
    let id = lease.id().to_owned();
    reporter.tell(News::Granted { id });
    Ok(lease)
}

fn failed(error: &Error) -> News {
    News::Failed(error.to_string())
}

fn plain(error: Error) -> String {
    error.to_string()
}
