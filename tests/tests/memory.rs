//! What a client holds, as the allocator counts it. One test: whatever else ran would be counted too.

use std::alloc::System;

use cap::Cap;
use wakecast_tests::bench;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// The machine, the driver's task, its queues and the TLS settings.
const BUILT: usize = 64 * 1024;

/// Queues are emptied and filled again: one of them may be at its largest at any moment.
const SWAY: usize = 4 * 1024;

#[test]
fn n41_a_hundred_thousand_sends_while_offline_keep_the_heap_flat() {
    let (least, most) = bench::offline(|| HEAP.allocated(), 100_000);
    assert!(most - least <= SWAY, "{least} to {most} bytes");
    assert!(most <= 256 * 1024, "{most} bytes wait for a link");
    let built = bench::built(|| HEAP.allocated(), 100).expect("a runtime");
    assert!(
        built <= BUILT,
        "a client that does nothing takes {built} bytes"
    );
}
