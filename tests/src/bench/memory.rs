//! Bytes a client, and where they go.

use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;
use wakecast::machine::{Config, Effect, Event, Input, Machine, Output, RequestKey, Seed};
use wakecast::protocol::{ClientMessage, SUBPROTOCOL, ServerMessage, Welcome};
use wakecast::{
    Acquire, Client, ConnectionState, ErrorCode, Events, Instant, Secret, Token, TokenError,
    TokenReason,
};

use super::Heap;
use super::server::Server;

const MACHINES: usize = 10_000;
const CLIENTS: usize = 1_000;
const SENDS: u64 = 100_000;

/// Tasks that end free what they held within this time; a benchmark may wait for that.
const SETTLED: Duration = Duration::from_millis(500);

pub(super) fn section(heap: Heap) -> Result<String, String> {
    let (fresh, idle) = (machines(heap, false), machines(heap, true));
    let inline = size_of::<Machine>();
    let mut text = format!(
        "### Memory\n\n\
         Bytes that are allocated and not freed, each client's share; the server is another \
         process. The kernel's socket buffers are not among them. Loopback without TLS: with it rustls adds its own buffers.\n\n\
         | {MACHINES} machines, without a driver | bytes each | of which in the structure itself |\n\
         |---|---|---|\n\
         | fresh | {fresh} | {inline} |\n\
         | connected and idle | {idle} | {inline} |\n\n\
         | {CLIENTS} native clients in one process | KB each | what is new |\n|---|---|---|\n"
    );
    let server = Server::start()?;
    let stages = super::block_on(clients(&server.url, heap))?;
    for Stage { name, bytes, what } in stages {
        let _ = writeln!(text, "| {name} | {:.1} | {what} |", bytes / 1024.0);
    }
    let (least, most) = offline(heap, SENDS);
    let _ = writeln!(
        text,
        "\n{SENDS} acquires of one machine without a link: 64 are kept and the rest refused at \
         once as `queue_full`. Between the first thousand and the last its heap was {} to {} KB.",
        least / 1024,
        most / 1024
    );
    Ok(text)
}

/// Bytes of a machine, its own structure included.
fn machines(heap: Heap, connect: bool) -> usize {
    let before = heap();
    let mut all = Vec::with_capacity(MACHINES);
    for number in 0..MACHINES {
        let mut seed = [0; 32];
        for (byte, from) in seed.iter_mut().zip(number.to_le_bytes()) {
            *byte = from;
        }
        let mut machine = Machine::new(Config::new("bench/1"), Seed(seed));
        if connect {
            connected(&mut machine);
        }
        all.push(machine);
    }
    let bytes = heap() - before;
    drop(all);
    bytes / MACHINES
}

/// Answers a machine until it is connected.
fn connected(machine: &mut Machine) {
    let mut inputs = vec![Input::Connect];
    while let Some(input) = inputs.pop() {
        machine.handle(Instant::from_millis(0), input);
        while let Some(output) = machine.poll() {
            let Output::Effect(effect) = output else {
                continue;
            };
            inputs.extend(match effect {
                Effect::FetchToken { generation, .. } => Some(Input::TokenReady {
                    generation,
                    token: Secret::new("bench.token"),
                    expires_in: None,
                }),
                Effect::OpenTransport { epoch, .. } => Some(Input::TransportOpened {
                    epoch,
                    subprotocol: Some(SUBPROTOCOL.to_owned()),
                }),
                Effect::Send { epoch, text } => match ClientMessage::decode(text.expose()) {
                    Ok(ClientMessage::Hello(hello)) => Some(Input::Frame {
                        epoch,
                        text: Secret::new(welcome(hello.id).encode()),
                    }),
                    _ => None,
                },
                _ => None,
            });
        }
    }
}

fn welcome(id: String) -> ServerMessage {
    ServerMessage::Welcome(Welcome {
        id,
        session: "session".to_owned(),
        token_expires_in_ms: 3_600_000,
        heartbeat_ms: 270_000,
        max_age_ms: 7_200_000,
        reconnect_spread_ms: 1_000,
        leases: Vec::new(),
        requests: Vec::new(),
    })
}

/// What a client holds at one point.
struct Stage {
    name: &'static str,
    bytes: f64,
    what: &'static str,
}

async fn clients(url: &str, heap: Heap) -> Result<Vec<Stage>, String> {
    // The first client of a process brings what all share.
    drop(build(url)?);
    tokio::time::sleep(SETTLED).await;
    let each = |before: usize| heap().saturating_sub(before) as f64 / CLIENTS as f64;
    let before = heap();
    let all: Vec<Client> = (0..CLIENTS).map(|_| build(url)).collect::<Result<_, _>>()?;
    let mut stages = Vec::new();
    let mut note = |name, bytes, what| stages.push(Stage { name, bytes, what });
    note(
        "built",
        each(before),
        "machine, task of the driver, queues, TLS settings with their roots",
    );
    let quiet = heap();
    let mut readers: Vec<Events> = all.iter().map(Client::events).collect();
    note(
        "a reader of its events",
        each(quiet),
        "on top of that, while nothing waits",
    );
    for client in &all {
        client.connect();
    }
    let links = readers
        .iter_mut()
        .zip(&all)
        .map(|(events, client)| async move {
            while !matches!(client.state(), ConnectionState::Connected { .. }) {
                if events.next().await.is_none() {
                    return false;
                }
            }
            true
        });
    let links = tokio::time::timeout(Duration::from_secs(60), join_all(links)).await;
    if !links.is_ok_and(|links| links.into_iter().all(|connected| connected)) {
        return Err("not every client was connected within a minute".to_owned());
    }
    drop(readers);
    // What the opening left behind is freed by tasks that end now.
    tokio::time::sleep(SETTLED).await;
    let bytes = each(before);
    note(
        "connected",
        bytes,
        "in all: task and buffers of the socket (8 KB for reading) and the token",
    );
    join_all(all.iter().map(Client::close)).await;
    drop(all);
    tokio::time::sleep(SETTLED).await;
    note("closed", each(before), "what is left");
    Ok(stages)
}

fn build(url: &str) -> Result<Client, String> {
    let client = Client::builder(url)
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("bench.token")) })
        .build();
    client.map_err(|error| error.to_string())
}

/// Returns the bytes that each of so many clients takes when it was built and nothing more.
///
/// # Errors
/// There is no runtime.
pub fn built(heap: Heap, clients: usize) -> Result<usize, String> {
    super::block_on(async {
        let url = "ws://127.0.0.1:9/";
        drop(build(url)?);
        tokio::task::yield_now().await;
        let before = heap();
        let all: Vec<Client> = (0..clients).map(|_| build(url)).collect::<Result<_, _>>()?;
        let bytes = heap().saturating_sub(before);
        drop(all);
        Ok(bytes / clients.max(1))
    })
}

/// Sends so many acquires to a machine that has no link. Returns the least and the most bytes that
/// it held after the first thousand.
///
/// # Panics
/// If one of them is neither kept nor refused as `queue_full`.
#[must_use]
pub fn offline(heap: Heap, sends: u64) -> (usize, usize) {
    let before = heap();
    let mut machine = Machine::new(Config::new("bench/1"), Seed([1; 32]));
    machine.handle(Instant::from_millis(0), Input::NetworkDown);
    let (mut least, mut most, mut refused) = (usize::MAX, 0, 0);
    for number in 0..sends {
        let input = Input::Acquire {
            key: RequestKey(number),
            acquire: Acquire::play("live", "match"),
        };
        machine.handle(Instant::from_millis(number / 100), input);
        while let Some(output) = machine.poll() {
            if let Output::Event(Event::Settled { result, .. }) = output {
                let full = result.is_err_and(|error| *error.code() == ErrorCode::QueueFull);
                assert!(full, "neither kept nor refused");
                refused += 1;
            }
        }
        if number >= 1_000 {
            let held = heap().saturating_sub(before);
            (least, most) = (least.min(held), most.max(held));
        }
    }
    assert_eq!(refused, sends.saturating_sub(64), "64 are kept");
    (least, most)
}
