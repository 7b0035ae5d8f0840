//! One person: a client after the other, a wish after the other, until the run ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wakecast::{
    Acquisition, Client, ConnectionState, Error, Lease, LeaseChange, LeaseChanges, Token,
    TokenError, TokenReason,
};
use wakecast_local::random::{Dice, Span};
use wakecast_local::{LocalCloud, TokenRequest};

use super::media::Media;
use super::tally::Tally;
use super::wish::{Farewell, Fate, Purpose, Wish};

/// How far behind its deadline an outcome may come on a machine that does much else. Whoever has
/// none by then is lost.
const SLACK: Duration = Duration::from_secs(20);

/// A request ends within 30 s by its own rule.
const REQUEST: Duration = Duration::from_secs(30);

/// `endpoint` waits for a lease that moves; the server gives that 10 min.
const MOVING: Duration = Duration::from_mins(10);

/// Closing takes at most a second for what is held and one for the socket.
const CLOSING: Duration = Duration::from_secs(2);

/// Opening a stream takes a few round trips; a server that hangs does not answer at all.
const MEDIA: Duration = Duration::from_secs(10);

/// A token provider fails now and then: one call in this many thousands times ten.
const PROVIDER_FAILS_PER_MILLE: u16 = 10;

/// What everybody is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// People come and go.
    Busy,
    /// Everybody lets go and waits, so that the instance stops.
    Lull,
    /// The run is over.
    End,
}

pub(super) struct Person {
    nth: u32,
    people: u32,
    dice: Dice,
    cloud: Arc<LocalCloud>,
    tally: Tally,
    phase: watch::Receiver<Phase>,
    client: Option<Client>,
}

impl Person {
    pub(super) fn new(
        nth: u32,
        people: u32,
        seed: u64,
        cloud: Arc<LocalCloud>,
        tally: Tally,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            nth,
            people,
            dice: Dice::new(seed.wrapping_add(u64::from(nth) << 20)),
            cloud,
            tally,
            phase,
            client: None,
        }
    }

    /// Lives until the end of the run, and then closes what is open.
    pub(super) async fn live(mut self) {
        loop {
            let is_over = |phase: &Phase| *phase != Phase::Lull;
            let phase = self.phase.wait_for(is_over).await;
            if phase.map_or(Phase::End, |phase| *phase) == Phase::End {
                break;
            }
            self.pause(Span::millis(0, 1_000)).await;
            self.wish().await;
            match self.dice.bits() % 100 {
                0..10 => self.close().await,
                10..14 => self.detach().await,
                // Whatever it holds is left to the server.
                14..18 => {
                    self.client = None;
                    self.tally.client("dropped");
                }
                _ => {}
            }
            self.pause(Span::millis(0, 6_000)).await;
        }
        self.close().await;
    }

    async fn wish(&mut self) {
        let wish = Wish::draw(&mut self.dice, self.nth, self.people);
        let client = self.client();
        self.tally.acquire();
        let deadline = Instant::now() + wish.deadline;
        let mut acquisition = client.acquire(wish.acquire(&self.cloud.app));
        match wish.fate {
            Fate::Await => {}
            Fate::Cancel(after) => {
                let settled = timeout(after, &mut acquisition).await;
                if let Ok(outcome) = settled {
                    return self.served(&client, &wish, deadline, outcome).await;
                }
                acquisition.cancel();
            }
            Fate::Drop(after) => {
                let settled = timeout(after, &mut acquisition).await;
                match settled {
                    Ok(outcome) => self.served(&client, &wish, deadline, outcome).await,
                    Err(_) => self.tally.let_go(),
                }
                return;
            }
            Fate::Succeed(after) => {
                let settled = timeout(after, &mut acquisition).await;
                if let Ok(outcome) = settled {
                    return self.served(&client, &wish, deadline, outcome).await;
                }
                let id = acquisition.detach();
                drop(client);
                self.detach().await;
                let client = self.client();
                let again = client.acquire(wish.acquire(&self.cloud.app).id(id));
                // The deadline begins anew for the successor.
                let deadline = Instant::now() + wish.deadline;
                return self.waited(&client, &wish, deadline, again).await;
            }
        }
        self.waited(&client, &wish, deadline, acquisition).await;
    }

    /// Waits for the outcome while the device has its troubles.
    async fn waited(
        &mut self,
        client: &Client,
        wish: &Wish,
        deadline: Instant,
        acquisition: Acquisition,
    ) {
        let patience = deadline + SLACK;
        let waiting = tokio::time::timeout_at(patience, acquisition);
        match self.among_troubles(client, waiting).await {
            Ok(outcome) => self.served(client, wish, deadline, outcome).await,
            Err(_) => {
                let words = format!("{}: {wish:?} has no outcome", self.name());
                self.tally.lost_acquire(words);
            }
        }
    }

    async fn served(
        &mut self,
        client: &Client,
        wish: &Wish,
        deadline: Instant,
        outcome: Result<Lease, Error>,
    ) {
        let late = Instant::now().saturating_duration_since(deadline);
        let whose = self.name();
        self.tally
            .outcome(outcome.as_ref().map(|_| ()), late, &whose);
        match outcome {
            Ok(lease) => self.hold(client, wish, lease).await,
            Err(_) => {
                // An app would show the error and let its user try again.
                if matches!(client.state(), ConnectionState::Failed { .. }) {
                    self.tally.client("failed");
                    client.retry();
                }
            }
        }
    }

    async fn hold(&mut self, client: &Client, wish: &Wish, lease: Lease) {
        let changes = lease.changes();
        let mut media = None;
        if wish.streams
            && let Some(endpoint) = self.endpoint(client, &lease).await
        {
            let opening = async {
                match wish.purpose {
                    Purpose::Publish => Media::publish(&endpoint, &wish.stream).await,
                    Purpose::Play | Purpose::Watch => Media::play(&endpoint, &wish.stream).await,
                }
            };
            let opened = timeout(MEDIA, opening).await;
            let opened = opened.unwrap_or_else(|_| Err("silence".to_owned()));
            let said = match &opened {
                Ok(_) => format!("{:?}", wish.purpose).to_lowercase(),
                Err(why) => why.clone(),
            };
            self.tally.stream(&said);
            media = opened.ok();
        }
        for _ in 0..wish.refreshes {
            let part = wish.hold / (wish.refreshes + 1);
            self.spend(client, part).await;
            self.endpoint(client, &lease).await;
        }
        self.spend(client, wish.hold / (wish.refreshes + 1)).await;
        drop(media);
        match wish.farewell {
            Farewell::Release => {
                let released = lease.release();
                if let Some(result) = self.asked("release", client, REQUEST, released).await {
                    self.tally
                        .request("release", result.as_ref().copied(), &self.name());
                }
                self.ended(changes).await;
            }
            Farewell::ReleaseAndGo => {
                // Asked for when it is first polled.
                let _ = timeout(Duration::ZERO, lease.release()).await;
                self.tally
                    .request("release unawaited", Ok(()), &self.name());
                self.ended(changes).await;
            }
            Farewell::Forget => drop(lease),
        }
    }

    /// A released lease has ended exactly once, and says nothing after.
    async fn ended(&mut self, mut changes: LeaseChanges) {
        let reading = async {
            let mut ends = 0;
            while let Some(change) = changes.next().await {
                let is_end = matches!(change, LeaseChange::Lost { .. } | LeaseChange::Released);
                // Whatever follows the end counts against it as well.
                ends += u32::from(is_end || ends > 0);
            }
            ends
        };
        match timeout(REQUEST + SLACK, reading).await {
            Ok(1) => {}
            Ok(ends) => {
                let words = format!("{}: a lease ended {ends} times", self.name());
                self.tally.wrong(words);
            }
            Err(_) => {
                let words = format!("{}: a released lease goes on", self.name());
                self.tally.lost(words);
            }
        }
    }

    async fn endpoint(&mut self, client: &Client, lease: &Lease) -> Option<wakecast::Endpoint> {
        let asked = lease.endpoint();
        let result = self.asked("endpoint", client, MOVING, asked).await?;
        let whose = self.name();
        self.tally
            .request("endpoint", result.as_ref().map(|_| ()), &whose);
        result.ok()
    }

    /// Awaits a request; one without an outcome is lost.
    async fn asked<T>(
        &mut self,
        kind: &str,
        client: &Client,
        limit: Duration,
        request: impl Future<Output = T>,
    ) -> Option<T> {
        let waiting = timeout(limit + SLACK, request);
        let answer = self.among_troubles(client, waiting).await;
        if answer.is_err() {
            let words = format!("{}: {kind} has no outcome", self.name());
            self.tally.lost(words);
        }
        answer.ok()
    }

    /// Lets time pass, less of it once the run or the lull wants everybody to let go.
    async fn spend(&mut self, client: &Client, time: Duration) {
        let mut phase = self.phase.clone();
        let called = async move {
            let busy = |phase: &Phase| *phase != Phase::Busy;
            let _ = phase.wait_for(busy).await.map(|phase| *phase);
        };
        let time = async {
            tokio::select! {
                () = sleep(time) => {}
                () = called => {}
            }
        };
        self.among_troubles(client, time).await;
    }

    async fn pause(&mut self, span: Span) {
        let time = self.dice.within(span);
        let ended = self.phase.wait_for(|phase| *phase == Phase::End);
        let _ = timeout(time, ended).await.map(|_| ());
    }

    /// Awaits something while the device changes networks, loses them and puts the app behind.
    async fn among_troubles<T>(&mut self, client: &Client, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut troubled = false;
        let result = loop {
            let quiet = self.dice.within(Span::millis(2_000, 30_000));
            tokio::select! {
                result = &mut future => break result,
                () = sleep(quiet) => {}
            }
            if troubled {
                mend(client);
                troubled = false;
                continue;
            }
            match self.dice.bits() % 3 {
                0 => client.network_changed(),
                1 => client.set_network(false),
                _ => client.set_foreground(false),
            }
            troubled = true;
        };
        if troubled {
            mend(client);
        }
        result
    }

    async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            self.ends("closed", client.close()).await;
        }
    }

    async fn detach(&mut self) {
        if let Some(client) = self.client.take() {
            self.ends("detached", client.detach()).await;
        }
    }

    async fn ends(&self, how: &str, ending: impl Future<Output = ()>) {
        self.tally.client(how);
        if timeout(CLOSING + SLACK, ending).await.is_err() {
            let words = format!("{}: a client that was {how} goes on", self.name());
            self.tally.lost(words);
        }
    }

    /// The client there is, or a new one.
    fn client(&mut self) -> Client {
        if let Some(client) = &self.client {
            return client.clone();
        }
        let cloud = Arc::clone(&self.cloud);
        let request = TokenRequest::new(self.name());
        let fails = self.dice.bits();
        let calls = std::sync::atomic::AtomicU64::new(0);
        let provider = move |_: TokenReason| {
            let nth = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let fails = Dice::new(fails ^ nth).chance(PROVIDER_FAILS_PER_MILLE);
            let minted = cloud.token(&request);
            async move {
                if fails {
                    return Err(TokenError::new("scripted"));
                }
                let token = minted.map_err(TokenError::new)?;
                Ok(Token::new(token.secret).expires_in(token.expires_in))
            }
        };
        let built = Client::builder(&self.cloud.websocket_url)
            .access_url(&self.cloud.access_url)
            .token_provider(provider)
            .build();
        let client = match built {
            Ok(client) => client,
            // Only a mistake of this program: nothing random is among the settings.
            Err(error) => unreachable!("a client of the local cloud: {error}"),
        };
        self.tally.client("made");
        self.client.insert(client).clone()
    }

    fn name(&self) -> String {
        format!("person-{}", self.nth)
    }
}

fn mend(client: &Client) {
    client.set_network(true);
    client.set_foreground(true);
}
