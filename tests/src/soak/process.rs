//! What this process uses, as the kernel and the runtime count it.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

/// The most open files that one client can need at once: link, stream and probe, both ends of
/// each, and one to spare.
const FILES_A_CLIENT: usize = 7;

/// Files of the cloud, the runtime and the terminal.
const FILES_OF_THE_REST: usize = 200;

/// Returns the bytes that are allocated and not freed.
pub type Heap = fn() -> usize;

/// What is used at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What is allocated and not freed, in KiB.
    pub heap_kib: u64,
    /// Resident memory in KiB: the heap, what the allocator keeps for later, code and stacks.
    pub memory_kib: u64,
    /// Open file descriptors, sockets among them.
    pub files: usize,
    /// Tasks of the runtime that have not ended.
    pub tasks: usize,
}

impl Usage {
    /// Reads what is used now; `heap` returns the bytes that are allocated and not freed.
    ///
    /// # Errors
    /// `/proc` cannot be read: the soak runs on Linux only.
    pub fn now(heap: Heap) -> Result<Self, String> {
        Ok(Self {
            heap_kib: heap() as u64 / 1024,
            memory_kib: memory_kib()?,
            files: files()?,
            tasks: Handle::current().metrics().num_alive_tasks(),
        })
    }
}

/// What was used at some moment of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Since the clients began.
    pub at: Duration,
    /// What was used.
    pub usage: Usage,
}

/// Waits until no more tasks and files are there than in `least`, at most for `limit`. Returns what
/// there is then.
pub(super) async fn settled(heap: Heap, least: Usage, limit: Duration) -> Result<Usage, String> {
    let deadline = Instant::now() + limit;
    loop {
        let usage = Usage::now(heap)?;
        let settled = usage.tasks <= least.tasks && usage.files <= least.files;
        if settled || Instant::now() >= deadline {
            return Ok(usage);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Says what to do if this many clients cannot have their sockets.
pub(super) fn check_limit(clients: u32) -> Result<(), String> {
    let needed =
        FILES_OF_THE_REST + FILES_A_CLIENT * usize::try_from(clients).unwrap_or(usize::MAX);
    let text = read("/proc/self/limits")?;
    let allowed = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|soft| soft.parse::<usize>().ok());
    match allowed {
        Some(allowed) if allowed < needed => Err(format!(
            "{clients} clients need {needed} open files and {allowed} are allowed: \
             run `ulimit -n {needed}` first, or take fewer --clients"
        )),
        _ => Ok(()),
    }
}

fn memory_kib() -> Result<u64, String> {
    let text = read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .ok_or_else(|| "/proc/self/status: expected a line VmRSS".to_owned())
}

fn files() -> Result<usize, String> {
    let listed = std::fs::read_dir("/proc/self/fd").map_err(|error| format!("/proc: {error}"))?;
    // The listing itself is one.
    Ok(listed.count().saturating_sub(1))
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}; this runs on Linux"))
}
