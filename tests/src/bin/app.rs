//! An app as a process of its own, for tests that kill it: it acquires one thing, prints a line for
//! whatever happens, and does what it reads line by line from its input.
//!
//! Lines out: `connected`, `phase <phase>`, `held <websocket URL>`, `failed <code>`,
//! `lost <reason>`, `endpoint <websocket URL>`, `refused <code>`, `released`, `detached`.
//! Lines in: `endpoint`, `release`, `detach`. At the end of its input it exits at once.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use serde_json::json;
use tokio::sync::mpsc;
use wakecast::{
    Acquire, Client, ConnectionState, Event, Lease, LeaseChange, Token, TokenError, TokenReason,
};
use wakecast_tests::http;

const USAGE: &str = "app <websocket URL> <access URL> <admin URL> <subject> <app> <stream> <id>";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [websocket, access, admin, subject, app, stream, id] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (admin, subject) = (admin.clone(), subject.clone());
    let client = Client::builder(websocket)
        .access_url(access)
        .token_provider(move |_: TokenReason| token(admin.clone(), subject.clone()))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let acquire = Acquire::publish(app, stream).id(id);
    live(client, acquire).await;
    ExitCode::SUCCESS
}

async fn token(admin: String, subject: String) -> Result<Token, TokenError> {
    let body = json!({ "subject": subject }).to_string();
    let answer = http::send("POST", &format!("{admin}/token"), &body).await;
    let (status, body) = answer.map_err(TokenError::new)?;
    match body["token"].as_str() {
        Some(token) => Ok(Token::new(token)),
        None => Err(TokenError::new(format!("no token but status {status}"))),
    }
}

async fn live(client: Client, acquire: Acquire) {
    let mut orders = orders();
    let mut events = client.events();
    let acquisition = client.acquire(acquire);
    tokio::pin!(acquisition);
    let mut lease: Option<Lease> = None;
    let mut waiting = true;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => tell(&event),
                None => return,
            },
            outcome = &mut acquisition, if waiting => {
                waiting = false;
                match outcome {
                    Ok(held) => {
                        say(&format!("held {}", endpoint(&held).await));
                        lease = Some(held);
                    }
                    Err(error) => say(&format!("failed {}", error.code())),
                }
            }
            order = orders.recv() => match (order.as_deref(), &lease) {
                (Some("endpoint"), Some(lease)) => say(&endpoint(lease).await),
                (Some("release"), Some(lease)) => {
                    let outcome = lease.release().await;
                    say(&outcome.map_or_else(|error| format!("refused {}", error.code()), |()| "released".into()));
                }
                (Some("detach"), _) => {
                    client.detach().await;
                    return say("detached");
                }
                // Whoever started this process is gone.
                (None, _) => return,
                (Some(order), _) => eprintln!("`{order}` cannot be done now"),
            },
        }
    }
}

async fn endpoint(lease: &Lease) -> String {
    match lease.endpoint().await {
        Ok(endpoint) => format!("endpoint {}", endpoint.websocket_url),
        Err(error) => format!("refused {}", error.code()),
    }
}

fn tell(event: &Event) {
    match event {
        Event::State(ConnectionState::Connected { .. }) => say("connected"),
        Event::Progress { progress, .. } => say(&format!("phase {}", progress.phase.as_str())),
        Event::Lease {
            change: LeaseChange::Lost { reason },
            ..
        } => say(&format!("lost {}", reason.as_str())),
        _ => {}
    }
}

/// Nobody who reads is no reason to stop.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Reads the input on a thread of its own, which blocks nobody.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    orders
}
