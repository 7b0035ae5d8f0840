//! Inputs a second of the machine alone, over a recorded life.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wakecast::machine::{Config, Input, Machine, RequestKey, Seed, TransportEnd};
use wakecast::protocol::{Draining, Moved, ProgressPush, ServerMessage};
use wakecast::{Acquire, Phase};

use super::median;
use super::support::{MINUTE, SECOND, World, endpoint};

/// Seeds the recording, and the machines that it is played to.
const SEED: u8 = 7;

/// Acquisitions in the recording, each with its boot, its hour and its end.
const LIVES: u64 = 60;

/// How often the recording is played; the middle one counts.
const ROUNDS: usize = 15;

pub(super) fn section() -> String {
    let recorded = record();
    let count = recorded.len();
    let share = |wanted: fn(&Input) -> bool| {
        let of = recorded.iter().filter(|(_, input)| wanted(input)).count();
        100.0 * of as f64 / count as f64
    };
    let frames = share(|input| matches!(input, Input::Frame { .. }));
    let timers = share(|input| matches!(input, Input::Timeout));
    let bytes: usize = (recorded.iter())
        .map(|(_, input)| match input {
            Input::Frame { text, .. } => text.expose().len(),
            _ => 0,
        })
        .sum();
    let mut times: Vec<Duration> = Vec::new();
    let mut outputs = 0;
    for _ in 0..ROUNDS {
        let inputs = recorded.clone();
        let begun = Instant::now();
        outputs = play(inputs);
        times.push(begun.elapsed());
    }
    let seconds = median(times.iter().map(Duration::as_secs_f64).collect());
    let rate = count as f64 / seconds;
    format!(
        "### The machine alone\n\n\
         A recorded life of {LIVES} acquisitions with their boots, grants, drains and releases, an \
         hour of holding each, rotations, renewals and a cut link now and then, played again to a \
         fresh machine. Frames are decoded, messages are encoded, every output is taken.\n\n\
         | inputs | frames | timers | outputs | µs an input | inputs a second |\n\
         |---|---|---|---|---|---|\n\
         | {count} ({} KB of frames) | {frames:.0} % | {timers:.0} % | {outputs} | {:.2} | {} |\n",
        bytes / 1024,
        seconds * 1e6 / count as f64,
        // Three figures say all that such a number knows.
        (rate / 1_000.0).round() * 1_000.0,
    )
}

fn play(inputs: Vec<(u64, Input)>) -> usize {
    let config = Config::new("test/1").client_id("client").access_check(true);
    let mut machine = Machine::new(config, Seed([SEED; 32]));
    let mut outputs = 0;
    for (now, input) in inputs {
        machine.handle(wakecast::Instant::from_millis(now), input);
        while let Some(output) = machine.poll() {
            black_box(&output);
            outputs += 1;
        }
        black_box(machine.next_timeout());
    }
    outputs
}

fn record() -> Vec<(u64, Input)> {
    let mut world = World::new(SEED);
    world.recorded = Some(Vec::new());
    world.input(Input::Connect);
    world.run(SECOND);
    for life in 0..LIVES {
        live(&mut world, life);
    }
    world.recorded.take().unwrap_or_default()
}

/// One acquisition: it waits for a cold start, is held for an hour, and given back.
fn live(world: &mut World, life: u64) {
    let id = format!("lease-{life}");
    world.acquire(4 * life, Acquire::publish("live", "match").id(&id));
    world.run(SECOND);
    for (nth, phase) in [Phase::Launching, Phase::Booting, Phase::Warming]
        .into_iter()
        .enumerate()
    {
        let elapsed_ms = 10_000 * (nth as u64 + 1);
        world.rev += 1;
        world.push(ServerMessage::Progress(ProgressPush {
            id: id.clone(),
            rev: world.rev,
            phase,
            elapsed_ms,
            eta_p50_ms: 60_000 - elapsed_ms,
            eta_p90_ms: 90_000 - elapsed_ms,
            overdue: false,
            note: None,
        }));
        world.run(10 * SECOND);
    }
    world.grant(&id);
    world.run(5 * SECOND);
    for nth in 0..20u64 {
        world.input(Input::Endpoint {
            key: RequestKey(4 * life + 1),
            lease: id.clone(),
        });
        world.input(Input::Status {
            key: RequestKey(4 * life + 2),
            fleet: None,
        });
        world.run(3 * MINUTE);
        world.rev += 1;
        let (lease, rev) = (id.clone(), world.rev);
        world.push(if nth % 2 == 0 {
            ServerMessage::Draining(Draining {
                lease,
                rev,
                deadline_ms: 120_000,
            })
        } else {
            ServerMessage::Moved(Moved {
                lease,
                rev,
                endpoint: endpoint("b"),
            })
        });
    }
    if life % 4 == 3 {
        world.cut(TransportEnd::Dropped);
        world.run(10 * SECOND);
    }
    world.input(Input::Release {
        key: RequestKey(4 * life + 3),
        lease: id,
    });
    world.run(MINUTE);
}
