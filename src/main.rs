//! The `longsight` command: see `longsight --help`.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether stdout was closed when the process began.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Called before Rust's runtime, which opens `/dev/null` in the place of a closed stdout: after that, results are lost without an error.
#[used]
#[cfg_attr(any(target_os = "linux", target_os = "android"), unsafe(link_section = ".init_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
static BEFORE_RUNTIME: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: asks for a descriptor's flags, which changes nothing and may be asked of one that is not open.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        CLOSED.store(flags == -1, Ordering::Relaxed);
    }
    look
};

fn main() -> std::process::ExitCode {
    longsight::cli::main(CLOSED.load(Ordering::Relaxed))
}
