//! Ends what runs for too long, with everything that it has started.

use std::process::{Command, Stdio};

/// Kills a process and all that descend from it. A test program that hangs is the grandchild of the
/// cargo that we started, and would outlive it.
pub(crate) fn kill_tree(root: u32) {
    let listing = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
    let listing = listing.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let family = family(root, &listing.unwrap_or_default());
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(family.iter().map(u32::to_string));
    // What has ended meanwhile needs no killing.
    let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// The process and its descendants, from lines of `pid ppid`. Parents come first, so that none
/// starts another child meanwhile.
fn family(root: u32, listing: &str) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = listing
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect();
    let mut all = vec![root];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let children = pairs.iter().filter(|(_, of)| *of == parent);
        for (child, _) in children {
            if !all.contains(child) {
                all.push(*child);
            }
        }
        next += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_and_strangers_are_not() {
        let listing = "  10 1\n 11 10\n 20 1\n 12 11\n 13 10\n 21 20\n odd line\n";
        assert_eq!(family(10, listing), [10, 11, 13, 12]);
        assert_eq!(family(99, listing), [99]);
    }
}
