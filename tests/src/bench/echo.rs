//! Round trips and throughput of the client against plain tokio-tungstenite on the same server.

use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast::protocol::{ClientMessage, ServerMessage, StatusRequest};
use wakecast::{Client, ConnectionState, Token, TokenError, TokenReason};

use super::median;
use super::server::{self, Server};

/// The contenders take turns, so that a busy moment of the machine meets all of them.
const ROUNDS: usize = 9;

/// How long one turn lasts.
const TURN: Duration = Duration::from_millis(500);

/// Requests under way at once, where many are: the machine allows 256.
const AT_ONCE: usize = 32;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) fn section() -> Result<String, String> {
    let server = Server::start()?;
    super::block_on(measure(&server.url))
}

/// What one contender managed in each round.
#[derive(Default)]
struct Contender {
    round_trips_us: Vec<f64>,
    per_second: Vec<f64>,
}

async fn measure(url: &str) -> Result<String, String> {
    let client = connected(url).await?;
    let mut plain = open(url).await?;
    let mut typed = open(url).await?;
    let (mut ours, mut theirs, mut same_work) = (
        Contender::default(),
        Contender::default(),
        Contender::default(),
    );
    for _ in 0..ROUNDS {
        one_by_one(&client, &mut ours).await?;
        plain_one_by_one(&mut plain, false, &mut theirs).await?;
        plain_one_by_one(&mut typed, true, &mut same_work).await?;
        many(&client, &mut ours).await?;
        plain_many(&mut plain, false, &mut theirs).await?;
        plain_many(&mut typed, true, &mut same_work).await?;
    }
    client.close().await;
    let row = |name: &str, contender: &Contender, base: &Contender| {
        let (trip, rate) = (
            median(contender.round_trips_us.clone()),
            median(contender.per_second.clone()),
        );
        // Within each round, so that what slows one slows the other.
        let ratio = |ours: &[f64], base: &[f64]| {
            median(
                ours.iter()
                    .zip(base)
                    .map(|(one, other)| one / other)
                    .collect(),
            )
        };
        format!(
            "| {name} | {trip:.0} | {:.2} | {rate:.0} | {:.2} |\n",
            ratio(&base.round_trips_us, &contender.round_trips_us),
            ratio(&contender.per_second, &base.per_second),
        )
    };
    Ok(format!(
        "### The driver against plain tokio-tungstenite\n\n\
         The same `status` request and its answer ({} and {} bytes), the same server in a process \
         of its own, one thread on this side, loopback without TLS; {ROUNDS} rounds in turns of \
         {} ms. *Plain* sends and receives texts. *With the protocol's types* also writes the \
         request and reads the answer. *The client* is `Client::status`: ids, deadlines, \
         acknowledgements and timers on top. Ratios are of the medians within each round, 1 is the \
         plain peer, higher is better.\n\n\
         | | round trip µs | ratio | {AT_ONCE} at once, per second | ratio |\n|---|---|---|---|---|\n{}{}{}",
        request(1).encode().len(),
        server::answer(request(1)).map_or(0, |answer| answer.encode().len()),
        TURN.as_millis(),
        row("plain tokio-tungstenite", &theirs, &theirs),
        row("with the protocol's types", &same_work, &theirs),
        row("the client", &ours, &theirs),
    ))
}

async fn connected(url: &str) -> Result<Client, String> {
    let client = Client::builder(url)
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("bench.token")) })
        .build()
        .map_err(|error| error.to_string())?;
    let mut events = client.events();
    client.connect();
    while events.next().await.is_some() {
        if matches!(client.state(), ConnectionState::Connected { .. }) {
            return Ok(client);
        }
    }
    Err("the client has closed".to_owned())
}

async fn open(url: &str) -> Result<Socket, String> {
    let opened = connect_async(url)
        .await
        .map_err(|error| error.to_string())?;
    let (socket, _) = opened;
    if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    }
    Ok(socket)
}

/// A request whose id is as long as the machine's.
fn request(number: u64) -> ClientMessage {
    ClientMessage::Status(StatusRequest {
        id: format!("{number:032x}"),
        fleet: None,
    })
}

async fn one_by_one(client: &Client, figures: &mut Contender) -> Result<(), String> {
    let (begun, mut count) = (Instant::now(), 0u32);
    while begun.elapsed() < TURN {
        client.status().await.map_err(|error| error.to_string())?;
        count += 1;
    }
    figures.round_trips_us.push(micros_each(begun, count));
    Ok(())
}

async fn many(client: &Client, figures: &mut Contender) -> Result<(), String> {
    let (begun, mut count) = (Instant::now(), 0u32);
    let mut open: FuturesUnordered<_> = (0..AT_ONCE).map(|_| client.status()).collect();
    while let Some(answer) = open.next().await {
        answer.map_err(|error| error.to_string())?;
        count += 1;
        if begun.elapsed() < TURN {
            open.push(client.status());
        }
    }
    figures.per_second.push(1e6 / micros_each(begun, count));
    Ok(())
}

async fn plain_one_by_one(
    socket: &mut Socket,
    typed: bool,
    figures: &mut Contender,
) -> Result<(), String> {
    let (begun, mut count) = (Instant::now(), 0u32);
    let fixed = request(0).encode();
    while begun.elapsed() < TURN {
        ask(socket, typed, &fixed, count.into()).await?;
        hear(socket, typed).await?;
        count += 1;
    }
    figures.round_trips_us.push(micros_each(begun, count));
    Ok(())
}

async fn plain_many(
    socket: &mut Socket,
    typed: bool,
    figures: &mut Contender,
) -> Result<(), String> {
    let (begun, mut count) = (Instant::now(), 0u32);
    let fixed = request(0).encode();
    for number in 0..AT_ONCE {
        ask(socket, typed, &fixed, number as u64).await?;
    }
    let mut open = AT_ONCE;
    while open > 0 {
        hear(socket, typed).await?;
        open -= 1;
        count += 1;
        if begun.elapsed() < TURN {
            ask(socket, typed, &fixed, count.into()).await?;
            open += 1;
        }
    }
    figures.per_second.push(1e6 / micros_each(begun, count));
    Ok(())
}

async fn ask(socket: &mut Socket, typed: bool, fixed: &str, number: u64) -> Result<(), String> {
    let text = if typed {
        request(number).encode()
    } else {
        fixed.to_owned()
    };
    let sent = socket.send(Message::text(text)).await;
    sent.map_err(|error| error.to_string())
}

async fn hear(socket: &mut Socket, typed: bool) -> Result<(), String> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) if typed => match ServerMessage::decode(&text) {
            Ok(ServerMessage::Status(_)) => Ok(()),
            other => Err(format!("no status but {other:?}")),
        },
        Some(Ok(Message::Text(_))) => Ok(()),
        other => Err(format!("no answer but {other:?}")),
    }
}

fn micros_each(begun: Instant, count: u32) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1))
}
