//! A process gives up what decoding one file does not need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Open files: the video once for each walk, and the pipes.
const FILES: u64 = 256;
/// Address space beyond the ceiling: code, and what allocators reserve and do not use.
const RESERVE: u64 = 8 << 30;

/// What holds a decoder's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Confinement {
    /// Bytes of memory that it may have; `None` if the system would not limit it
    pub memory_bytes: Option<u64>,
    /// Version of the kernel's Landlock that keeps it to reading one file; `None` without
    pub landlock: Option<u32>,
    /// Whether seccomp leaves it only the calls of decoding: no socket, no other program, no file to write to
    pub seccomp: bool,
}

/// Locks this process in for good: it may read `path`, if there is one, and have `memory` bytes. Call it before other
/// threads are started.
pub(super) fn confine(path: Option<&Path>, memory: u64) -> Confinement {
    let reserve = memory.saturating_add(RESERVE);
    let held = limit(libc::RLIMIT_DATA, memory).and_then(|()| limit(libc::RLIMIT_AS, reserve));
    // A core dump would be a file, and a large one; files grow by nothing.
    let small = [(libc::RLIMIT_CORE, 0), (libc::RLIMIT_FSIZE, 0), (libc::RLIMIT_NOFILE, FILES)];
    // Where one of these is refused, the others and what follows still hold.
    small.into_iter().for_each(|(what, most)| drop(limit(what, most)));
    Confinement {
        memory_bytes: held.is_ok().then_some(memory),
        landlock: kernel::landlock(path),
        seccomp: kernel::seccomp(),
    }
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

/// Lowers a limit; one that is lower already stays.
fn limit(what: Resource, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid, and written to during the call only.
    if unsafe { libc::getrlimit(what, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let most = most.min(now.rlim_max);
    let lower = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure is valid, and read during the call only.
    if unsafe { libc::setrlimit(what, &raw const lower) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::path::Path;

    pub(super) fn landlock(_path: Option<&Path>) -> Option<u32> {
        None
    }

    pub(super) fn seccomp() -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Nothing of the file system but reading `path`, no TCP, no signals and no sockets to others; as much of it as the
    /// kernel knows. Gives the kernel's version of it.
    pub(super) fn landlock(path: Option<&Path>) -> Option<u32> {
        let newest = ABI::V6;
        let restrict = || -> Result<bool, RulesetError> {
            let rules = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(newest))?
                .handle_access(AccessNet::from_all(newest))?
                .scope(Scope::from_all(newest))?
                .create()?;
            // Without the file there is nothing to allow; opening it says why.
            let file = path.and_then(|path| PathFd::new(path).ok());
            let rules = match file {
                Some(file) => rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?,
                None => rules,
            };
            Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
        };
        restrict().unwrap_or(false).then(version)
    }

    /// The kernel's version of Landlock.
    fn version() -> u32 {
        const VERSION: libc::c_uint = 1;
        let none = std::ptr::null::<libc::c_void>();
        // SAFETY: with this flag, a null pointer and no length, the call only gives a number.
        let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) };
        u32::try_from(version).unwrap_or(0)
    }

    /// What decoding calls: reading, memory, threads, clocks, its own end. Everything else does not exist, which libraries
    /// know how to go on from; some calls exist with certain arguments only, see [`conditions`].
    const CALLS: &[libc::c_long] = &[
        // reading a file, writing to the pipe
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_fcntl,
        libc::SYS_ppoll,
        // memory
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // threads
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_membarrier,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_getpid,
        libc::SYS_gettid,
        // signals that it sends itself, to abort
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        // clocks and chance
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
        // its end
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_restart_syscall,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_arch_prctl,
    ];

    /// Calls that exist with certain arguments: number, which argument, what it is masked with, what has to be left.
    fn conditions() -> [(libc::c_long, u8, u64, u64); 5] {
        let writes = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | libc::O_TMPFILE;
        let writes = u64::from((writes & !libc::O_DIRECTORY).unsigned_abs());
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        let name = u64::from(libc::PR_SET_NAME.unsigned_abs());
        [
            // To read
            (libc::SYS_openat, 2, writes, 0),
            // A thread, no process
            (libc::SYS_clone, 0, thread, thread),
            // A thread's name
            (libc::SYS_prctl, 0, u64::MAX, name),
            // Asking for a limit of its own, not setting one
            (libc::SYS_prlimit64, 2, u64::MAX, 0),
            // A signal to itself
            (libc::SYS_tgkill, 0, u64::MAX, u64::from(std::process::id())),
        ]
    }

    /// Whether the calls could be taken away.
    pub(super) fn seccomp() -> bool {
        let Ok(arch) = std::env::consts::ARCH.try_into() else { return false };
        let restrict = || -> Result<(), seccompiler::Error> {
            let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|&call| (call, Vec::new())).collect();
            for (call, argument, mask, left) in conditions() {
                let masked = SeccompCmpOp::MaskedEq(mask);
                let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, masked, left)?;
                rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
            }
            let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
            let filter: BpfProgram = SeccompFilter::new(rules, missing, SeccompAction::Allow, arch)?.try_into()?;
            seccompiler::apply_filter_all_threads(&filter)
        };
        restrict().is_ok()
    }
}
