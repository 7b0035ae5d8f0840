//! An app in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::sync::mpsc;

use super::ID;
use crate::cloud::{APP, Cloud, within};

/// A running app that publishes under [`ID`]; killed when dropped.
pub(super) struct App {
    child: Child,
    orders: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl App {
    pub(super) fn start(cloud: &Cloud, subject: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_app"))
            .args([&cloud.websocket_url, &cloud.access_url, &cloud.admin_url])
            .args([subject, APP, "match-1", ID])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            orders,
            lines,
            seen: Vec::new(),
        }
    }

    /// Reads on to the line that begins with this word and returns the rest of it.
    pub(super) async fn says(&mut self, word: &str) -> String {
        within(&format!("`{word}` from the app"), async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push(line.clone());
                let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
                if first == word {
                    return rest.to_owned();
                }
            }
            panic!("the app ended without `{word}`: {:?}", self.seen);
        })
        .await
    }

    pub(super) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Ends it as `kill -9` does. Returns what it had said.
    pub(super) async fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.rest().await
    }

    /// Waits for its own end. Returns what it had said.
    pub(super) async fn ends(mut self) -> Vec<String> {
        self.rest().await
    }

    async fn rest(&mut self) -> Vec<String> {
        within("the app's end", async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push(line);
            }
        })
        .await;
        self.child.wait().unwrap();
        std::mem::take(&mut self.seen)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
