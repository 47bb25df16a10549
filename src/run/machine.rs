//! What memory there is.

use std::sync::LazyLock;
use sysinfo::System;

/// Bytes that processes here may take together: the machine's memory, or less where a control group says so. `None` where nobody knows.
#[must_use]
pub fn memory() -> Option<u64> {
    static MEMORY: LazyLock<Option<u64>> = LazyLock::new(|| {
        let mut system = System::new().ok()?;
        system.refresh_memory();
        let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        Some(system.total_memory().min(group)).filter(|&bytes| bytes > 0)
    });
    *MEMORY
}
