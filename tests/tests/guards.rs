//! The guards as every build but a test's has them, and the list of tests of their absence.

use std::collections::BTreeSet;

use wakecast::machine;
use wakecast_lambda::guards;

/// Without the feature there is nothing that could be turned off.
#[cfg(not(feature = "ablation"))]
#[test]
fn guards_have_no_size_and_are_on() {
    assert_eq!(size_of::<guards::Guards>(), 0);
    assert_eq!(size_of::<machine::Guards>(), 0);
    for guard in guards::Guard::ALL {
        assert!(guards::Guards::default().on(guard), "{}", guard.name());
    }
    for guard in machine::Guard::ALL {
        assert!(machine::Guards::default().on(guard), "{}", guard.name());
    }
    // Known when it is compiled: the branch of an absent guard is in no build.
    const { assert!(guards::Guards::ALL.on(guards::Guard::Settle)) };
    const { assert!(machine::Guards::ALL.on(machine::Guard::Epoch)) };
}

#[test]
fn each_guard_has_a_test_of_its_absence() {
    let tests = tests_of_absence();
    let cloud = guards::Guard::ALL.map(guards::Guard::name);
    let client = machine::Guard::ALL.map(machine::Guard::name);
    let names: BTreeSet<&str> = cloud.into_iter().chain(client).collect();
    assert_eq!(
        names.len(),
        guards::Guard::ALL.len() + machine::Guard::ALL.len(),
        "two guards share a name"
    );
    let is_of = |test: &str, name: &str| test.starts_with(&format!("without_{name}_"));
    for name in &names {
        assert!(
            tests.iter().any(|test| is_of(test, name)),
            "no test turns {name} off: add `without_{name}_…` to tests/tests/ablation"
        );
    }
    for test in &tests {
        assert!(
            names.iter().any(|name| is_of(test, name)),
            "{test} turns off no guard that there is"
        );
    }
}

/// The tests in `ablation` that turn a guard off.
fn tests_of_absence() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ablation");
    let files = std::fs::read_dir(folder).expect("the folder of the tests");
    let mut tests = BTreeSet::new();
    for file in files {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("its text");
        let marked = text.split("#[test]").skip(1);
        let names = marked.filter_map(|rest| rest.trim_start().strip_prefix("fn "));
        let names = names.filter_map(|rest| rest.split('(').next());
        let without = names.filter(|name| name.starts_with("without_"));
        tests.extend(without.map(str::to_owned));
    }
    tests
}
