//! Where this program keeps what it can make again.

use std::path::PathBuf;

/// `LONGSIGHT_CACHE`, or `longsight` below `XDG_CACHE_HOME` or `~/.cache`; `None` where none of them is an absolute path.
pub(super) fn folder() -> Option<PathBuf> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    path("LONGSIGHT_CACHE")
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("longsight")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/longsight")))
}
