//! Finding and reading the files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path from the root of the workspace, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Reads a Rust file of the workspace, or every one under a folder, in the order of their paths. What
/// does not exist holds none.
pub(crate) fn rust_files(root: &Path, place: &str) -> Result<Vec<Source>, String> {
    files(root, place, ".rs")
}

/// Reads a file, or every one under a folder whose name ends so, but for installed packages.
pub(crate) fn files(root: &Path, place: &str, ending: &str) -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    let start = root.join(place);
    if start.is_file() {
        paths.push(start);
    } else {
        walk(&start, ending, &mut paths)?;
    }
    paths.sort();
    paths.into_iter().map(|path| read(root, &path)).collect()
}

/// Reads one file as text.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The folders that the workspace's manifest names as members.
pub(crate) fn members(root: &Path) -> Result<Vec<String>, String> {
    let manifest = read_text(&root.join("Cargo.toml"))?;
    let list = manifest
        .split_once("\nmembers")
        .and_then(|(_, rest)| rest.split_once('['))
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(list, _)| list)
        .ok_or("Cargo.toml has no list of members")?;
    Ok(list
        .split(',')
        .map(|entry| entry.trim().trim_matches('"').to_owned())
        .filter(|entry| !entry.is_empty())
        .collect())
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                walk(&path, ending, found)?;
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path) -> Result<Source, String> {
    let shown = path
        .strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/");
    Ok(Source {
        path: shown,
        text: read_text(path)?,
    })
}
