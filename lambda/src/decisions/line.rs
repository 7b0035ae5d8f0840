//! One line of the log.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{LoggedSnapshot, Summary};
use crate::lifecycle::{Decision, Snapshot};
use crate::model::Timestamp;

/// The version of the line's shape: it rises when a line of the older one cannot be read any more.
pub const VERSION: u32 = 1;

/// The longest line in bytes. CloudWatch Logs cuts an event at 256 KiB, and a cut line is no JSON;
/// 1 KiB of that is for what Lambda may put around it.
pub const LONGEST_LINE: usize = 255 * 1024;

/// Bytes of a hash that are kept: enough to name one of a log's snapshots, short enough to read.
const HASH_BYTES: usize = 8;

/// One decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`]; also what tells these lines from others.
    pub decision: u32,
    /// The time of the pass, in milliseconds since the Unix epoch.
    pub now: Timestamp,
    /// Tenant and fleet.
    pub fleet: String,
    /// The fence of the run's lock: with the fleet it names the run.
    pub fence: u64,
    /// The version of the records that were read.
    pub version: u64,
    /// The hash of the snapshot's text: 16 hexadecimal digits of its SHA-256.
    pub hash: String,
    /// What follows.
    pub decided: Summary,
    /// What was seen, as its own text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Box<RawValue>>,
}

/// Writes a decision as a line, and returns it with the snapshot's hash. `last` is the hash of the
/// run's line before.
#[must_use]
pub fn line(snapshot: &Snapshot<'_>, decision: &Decision, last: Option<&str>) -> (String, String) {
    let mut text = Text::default();
    // Writing to a hash and a buffer does not fail, and every key of a map is a text or a number.
    let _ = serde_json::to_writer(&mut text, &LoggedSnapshot::of(snapshot));
    let (hash, text) = text.finish();
    let text = text.filter(|_| last != Some(hash.as_str()));
    let mut line = Line {
        decision: VERSION,
        now: snapshot.now,
        fleet: snapshot.fleet.to_string(),
        fence: snapshot.lock.fence.0,
        version: snapshot.records.state.version,
        hash: hash.clone(),
        decided: Summary::of(decision),
        snapshot: text.and_then(|text| RawValue::from_string(text).ok()),
    };
    let mut whole = json(&line);
    if whole.len() > LONGEST_LINE {
        line.snapshot = None;
        whole = json(&line);
    }
    (whole, hash)
}

/// Returns the hash of a text.
pub(super) fn digest(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

/// Returns the hash of a value's JSON.
pub(super) fn digest_of<T: Serialize>(value: &T) -> String {
    let mut text = Text {
        kept: None,
        ..Text::default()
    };
    let _ = serde_json::to_writer(&mut text, value);
    text.finish().0
}

fn json(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

fn hex(hash: &[u8]) -> String {
    let bytes = hash.iter().take(HASH_BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes a text as it is written, and keeps it as long as it fits into a line: the snapshot of a
/// herd is megabytes long.
struct Text {
    hash: Sha256,
    kept: Option<Vec<u8>>,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            kept: Some(Vec::new()),
        }
    }
}

impl Text {
    fn finish(self) -> (String, Option<String>) {
        let text = self.kept.and_then(|text| String::from_utf8(text).ok());
        (hex(&self.hash.finalize()), text)
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        if let Some(kept) = &mut self.kept {
            if kept.len() + bytes.len() <= LONGEST_LINE {
                kept.extend_from_slice(bytes);
            } else {
                self.kept = None;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
