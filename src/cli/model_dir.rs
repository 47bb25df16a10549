//! From what the user calls a model to its folder.

use super::failure::{Failure, Kind, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The model that comes with the program.
pub(super) const BUNDLED: &str = "longsight-tiny";

/// The folder of a model given as a path, as `longsight-tiny`, or as a hub id whose files lie in the Hugging Face cache.
///
/// # Errors
/// When there is no such folder, or the cache does not hold the id.
pub fn resolve(id: &str) -> Result<PathBuf> {
    let path = Path::new(id);
    if path.is_dir() {
        return Ok(path.to_path_buf());
    }
    if id == BUNDLED {
        return bundled().ok_or_else(|| {
            Failure::new(Kind::Model, format!("the bundled model {BUNDLED} is not where it should be"))
                .hint("set LONGSIGHT_MODELS to the folder that holds it, or give --model DIR")
        });
    }
    let Some((organisation, name, revision)) = parse_hub_id(id) else {
        return Err(Failure::new(Kind::Model, format!("{id}: no such folder, and no hub id"))
            .hint(format!("give a checkpoint folder, ORGANISATION/NAME, or {BUNDLED}")));
    };
    let repository = hub_cache().join(format!("models--{organisation}--{name}"));
    snapshot(&repository, revision).ok_or_else(|| {
        Failure::new(Kind::Model, format!("{id} is not in the Hugging Face cache {}", hub_cache().display()))
            .hint(download_hint(id))
    })
}

/// How to get a model: this program does not use the network.
pub(super) fn download_hint(id: &str) -> String {
    format!("download it with `huggingface-cli download {id}`")
}

/// A model that lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What `--model` takes
    pub(super) id: String,
    /// Where it is
    pub(super) path: PathBuf,
    /// `bundled` or `cache`
    pub(super) source: &'static str,
}

/// The bundled model and what the Hugging Face cache holds, by id.
pub(super) fn installed() -> Vec<Found> {
    let mut found: Vec<Found> =
        bundled().map(|path| Found { id: BUNDLED.to_owned(), path, source: "bundled" }).into_iter().collect();
    let mut cached: Vec<Found> = std::fs::read_dir(hub_cache())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_prefix("models--")?.replacen("--", "/", 1);
            Some(Found { id, path: snapshot(&entry.path(), None)?, source: "cache" })
        })
        .collect();
    cached.sort_by(|a, b| a.id.cmp(&b.id));
    found.append(&mut cached);
    found
}

/// The first place that has the bundled model: the user's, beside the program, installed, the source tree.
fn bundled() -> Option<PathBuf> {
    let user = env::var_os("LONGSIGHT_MODELS").map(PathBuf::from);
    let program = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let beside = program.iter().flat_map(|folder| [folder.join("models"), folder.join("../share/longsight/models")]);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let places = user.into_iter().chain(beside).chain([source]);
    places.map(|place| place.join(BUNDLED)).find(|folder| folder.join("config.json").is_file())
}

/// `HF_HUB_CACHE`, or `hub` below `HF_HOME`, `XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface`.
pub(super) fn hub_cache() -> PathBuf {
    let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = path("HF_HUB_CACHE") {
        return cache;
    }
    let home = || path("HOME").unwrap_or_default().join(".cache");
    let huggingface = || path("XDG_CACHE_HOME").unwrap_or_else(home).join("huggingface");
    path("HF_HOME").unwrap_or_else(huggingface).join("hub")
}

/// `organisation/name` or `organisation/name@revision`, of letters, digits, `-`, `_` and `.` only: an id never leaves
/// the cache.
fn parse_hub_id(id: &str) -> Option<(&str, &str, Option<&str>)> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let (id, revision) = id.split_once('@').map_or((id, None), |(id, revision)| (id, Some(revision)));
    let (organisation, name) = id.split_once('/')?;
    (plain(organisation) && plain(name) && revision.is_none_or(plain)).then_some((organisation, name, revision))
}

/// The folder of `revision` (a branch or a commit), by default `main`'s, else the newest that there is.
fn snapshot(repository: &Path, revision: Option<&str>) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    let usable = |folder: &PathBuf| folder.join("config.json").is_file();
    let by_name = |name: &str| Some(snapshots.join(name)).filter(usable);
    let by_reference = |name: &str| {
        let commit = std::fs::read_to_string(repository.join("refs").join(name)).ok()?;
        by_name(commit.trim()).filter(|_| !commit.contains('/'))
    };
    if let Some(revision) = revision {
        return by_reference(revision).or_else(|| by_name(revision));
    }
    let newest = || {
        let folders = std::fs::read_dir(&snapshots).ok()?.flatten().map(|entry| entry.path()).filter(usable);
        folders.max_by_key(|folder| folder.metadata().and_then(|facts| facts.modified()).ok())
    };
    by_reference("main").or_else(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_ids_cannot_leave_the_cache() {
        assert_eq!(parse_hub_id("Qwen/Qwen3-VL-2B-Instruct"), Some(("Qwen", "Qwen3-VL-2B-Instruct", None)));
        assert_eq!(parse_hub_id("a/b@main"), Some(("a", "b", Some("main"))));
        for id in ["", "a", "/etc", "../b", "a/..", "a/b/c", "a/b@../x", "a/ b", "a/b@"] {
            assert_eq!(parse_hub_id(id), None, "{id}");
        }
    }

    #[test]
    fn a_snapshot_is_found_by_reference_by_commit_or_alone() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let repository = folder.path();
        for commit in ["abc", "def"] {
            let snapshot = repository.join("snapshots").join(commit);
            std::fs::create_dir_all(&snapshot)?;
            std::fs::write(snapshot.join("config.json"), "{}")?;
        }
        std::fs::create_dir_all(repository.join("refs"))?;
        std::fs::write(repository.join("refs/main"), "abc\n")?;
        let name = |revision| snapshot(repository, revision).and_then(|path| path.file_name().map(ToOwned::to_owned));
        assert_eq!(name(None), Some("abc".into()));
        assert_eq!(name(Some("def")), Some("def".into()));
        assert_eq!(name(Some("main")), Some("abc".into()));
        assert_eq!(name(Some("other")), None);
        std::fs::remove_file(repository.join("refs/main"))?;
        assert!(name(None).is_some());
        Ok(())
    }
}
