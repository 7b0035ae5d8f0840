//! Every direct dependency has a sentence in docs/dependencies.md that says why it is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::sources;
use crate::tools::Workspace;

const PAGE: &str = "docs/dependencies.md";

/// How many dependencies are explained, or what is missing, one a line.
pub(crate) fn check(workspace: &Workspace) -> Result<usize, String> {
    let mut used = BTreeSet::new();
    // The fuzzer's programs are no member, but what they depend on is said as well.
    let mut packages = sources::members(&workspace.root)?;
    packages.push("fuzz/libfuzzer".to_owned());
    for member in packages {
        let manifest = sources::read_text(&workspace.root.join(&member).join("Cargo.toml"))?;
        used.extend(dependencies(&manifest));
    }
    used.retain(|name| name != "wakecast" && !name.starts_with("wakecast-"));
    let explained = explained(&sources::read_text(&workspace.root.join(PAGE))?);
    let faults = faults(&used, &explained);
    if faults.is_empty() {
        Ok(used.len())
    } else {
        Err(faults)
    }
}

fn faults(used: &BTreeSet<String>, explained: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for name in used.difference(explained) {
        let _ = writeln!(
            text,
            "{PAGE}: no sentence on `{name}`; add \"- `{name}`: why it is there.\""
        );
    }
    for name in explained.difference(used) {
        let _ = writeln!(
            text,
            "{PAGE}: `{name}` is no direct dependency any more; take it out"
        );
    }
    text
}

/// The names in the dependency tables of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.split(']').next().unwrap_or_default();
            inside = table.ends_with("dependencies") && !line.starts_with("[[");
            // One table a dependency: [dependencies.serde]
            if let Some((_, name)) = table.rsplit_once("dependencies.") {
                names.insert(name.trim_matches('"').to_owned());
            }
        } else if inside && let Some((key, _)) = line.split_once('=') {
            let key = key.trim();
            if !key.starts_with('#') {
                let name = key.split('.').next().unwrap_or_default();
                names.insert(name.trim_matches('"').to_owned());
            }
        }
    }
    names
}

/// The names that the page has a sentence on: "- `name`: sentence."
fn explained(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once("`: "))
        .filter(|(_, sentence)| !sentence.trim().is_empty())
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_kind_of_table_is_read() {
        let manifest = "
[package]
name = \"x\"
[dependencies]
serde.workspace = true
tokio = { version = \"1\", features = [\"rt\"] }
# off = \"1\"
[target.'cfg(any(unix, target_os = \"linux\"))'.dependencies]
rustix = \"1\"
[dev-dependencies]
proptest.workspace = true
[dependencies.url]
version = \"2\"
[features]
native = [\"dep:bytes\"]
";
        assert_eq!(
            dependencies(manifest),
            set(&["proptest", "rustix", "serde", "tokio", "url"])
        );
    }

    #[test]
    fn a_missing_and_a_stale_sentence_are_faults() {
        let page = explained("- `serde`: reads messages.\n- `old`: was here.\n- `empty`: \n");
        assert_eq!(page, set(&["serde", "old"]));
        let found = faults(&set(&["serde", "tokio"]), &page);
        assert!(found.contains("no sentence on `tokio`"), "{found}");
        assert!(found.contains("`old` is no direct dependency"), "{found}");
        assert_eq!(found.lines().count(), 2);
    }
}
