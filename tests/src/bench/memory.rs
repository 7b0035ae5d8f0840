//! Bytes a client, and where they go.

use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;
use wakecast::machine::{Config, Effect, Event, Input, Machine, Output, RequestKey, Seed};
use wakecast::protocol::{ClientMessage, SUBPROTOCOL, ServerMessage, Welcome};
use wakecast::{
    Acquire, Client, ClientBuilder, ConnectionState, ErrorCode, Events, Instant, Secret, Token,
    TokenError, TokenReason,
};

use super::Heap;
use super::server::{Server, Wire};

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
         process. The kernel's socket buffers are not among them.\n\n\
         | {MACHINES} machines, without a driver | bytes each | of which in the structure itself |\n\
         |---|---|---|\n\
         | fresh | {fresh} | {inline} |\n\
         | connected and idle | {idle} | {inline} |\n\n\
         | {CLIENTS} native clients in one process | KB each | what it is |\n|---|---|---|\n"
    );
    let plain = super::block_on(clients(&Server::start(Wire::Plain)?, heap))?;
    let tls = super::block_on(clients(&Server::start(Wire::Tls)?, heap))?;
    let rows = [
        (
            "built",
            plain.built,
            "machine, task of the driver, queues, settings; the platform's roots are shared",
        ),
        (
            "a reader of its events",
            plain.reader,
            "on top, while nothing waits",
        ),
        (
            "connected",
            plain.connected,
            "in all: task and buffers of the socket (8 KB for reading) and the token",
        ),
        (
            "a lease",
            plain.holding - plain.connected,
            "on top, with its status, its changes and its endpoint",
        ),
        ("closed", plain.closed, "what is left"),
        (
            "built with a root certificate of its own",
            tls.built,
            "TLS settings that it shares with nobody",
        ),
        ("the same connected over TLS", tls.connected, "in all"),
        (
            "TLS of the link alone",
            (tls.connected - tls.built) - (plain.connected - plain.built),
            "keys, session and buffers of rustls, on top of the same link without",
        ),
    ];
    for (name, kilobytes, what) in rows {
        let _ = writeln!(text, "| {name} | {kilobytes:.1} | {what} |");
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

/// KB of each client at each point, on top of nothing.
struct Figures {
    built: f64,
    /// On top of that.
    reader: f64,
    connected: f64,
    /// With a lease.
    holding: f64,
    closed: f64,
}

async fn clients(server: &Server, heap: Heap) -> Result<Figures, String> {
    // The first client of a process brings what all share.
    drop(build(server)?);
    tokio::time::sleep(SETTLED).await;
    let each = |before: usize| heap().saturating_sub(before) as f64 / CLIENTS as f64 / 1024.0;
    let before = heap();
    let all: Vec<Client> = (0..CLIENTS)
        .map(|_| build(server))
        .collect::<Result<_, _>>()?;
    let built = each(before);
    let quiet = heap();
    let mut readers: Vec<Events> = all.iter().map(Client::events).collect();
    let reader = each(quiet);
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
    let connected = each(before);
    let wish = || Acquire::publish("live", "match").verify(false);
    let leases = join_all(all.iter().map(|client| client.acquire(wish()))).await;
    let leases: Result<Vec<_>, _> = leases.into_iter().collect();
    let leases = leases.map_err(|error| error.to_string())?;
    tokio::time::sleep(SETTLED).await;
    let holding = each(before);
    drop(leases);
    join_all(all.iter().map(Client::close)).await;
    drop(all);
    tokio::time::sleep(SETTLED).await;
    Ok(Figures {
        built,
        reader,
        connected,
        holding,
        closed: each(before),
    })
}

fn build(server: &Server) -> Result<Client, String> {
    let client = builder(&server.url);
    let client = match &server.root {
        Some(root) => client.root_certificate(root.clone()),
        None => client,
    };
    client.build().map_err(|error| error.to_string())
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder(url)
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("bench.token")) })
}

/// Returns the bytes that each of so many clients takes when it was built and nothing more.
///
/// # Errors
/// There is no runtime.
pub fn built(heap: Heap, clients: usize) -> Result<usize, String> {
    super::block_on(async {
        let build = || builder("ws://127.0.0.1:9/").build();
        let built = build().map_err(|error| error.to_string())?;
        drop(built);
        tokio::task::yield_now().await;
        let before = heap();
        let all: Result<Vec<Client>, _> = (0..clients).map(|_| build()).collect();
        let all = all.map_err(|error| error.to_string())?;
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
