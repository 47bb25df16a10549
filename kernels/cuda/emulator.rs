//! The emulation: the kernels' sources, compiled by the C++ compiler of this machine and loaded into the test.

use super::{Launch, Machine, Plain, bytes};
use std::convert::Infallible;
use std::ffi::{CString, c_int, c_uint, c_void};
use std::process::Command;
use std::sync::OnceLock;

/// Around every buffer, so that reading beyond it gives NaN and writing beyond it is noticed.
const GUARD: usize = 1024;
const NAN: u8 = 0xff;

/// Runs kernels on this machine's processor; warps and lanes take turns in one order or the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emulator {
    library: usize,
    backwards: bool,
}

impl Emulator {
    /// Both orders, or, with a word why, none.
    pub(crate) fn both() -> Vec<Self> {
        static LIBRARY: OnceLock<Option<usize>> = OnceLock::new();
        let Some(library) = *LIBRARY.get_or_init(load) else { return Vec::new() };
        [false, true].map(|backwards| Self { library, backwards }).to_vec()
    }
}

/// The C++ compiler's work, loaded for as long as the process lives.
#[allow(clippy::print_stderr, reason = "a test that skips says so")]
fn load() -> Option<usize> {
    let source = |path: &str| format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder for the emulated kernels");
    let library = folder.path().join("kernels.so");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let flags = "-std=c++17 -O2 -Wall -Wextra -Werror -Wno-unknown-pragmas -fPIC -shared -DLONGSIGHT_EMULATED";
    let built = Command::new(&compiler)
        .args(flags.split(' '))
        .arg(format!("-I{}", source("cuda")))
        .arg("-o")
        .arg(&library)
        .args(["-x", "c++"])
        .args(super::SOURCES.iter().map(|path| source(path)))
        .output();
    match built {
        Err(error) => {
            eprintln!("skipped: the CUDA kernels are not emulated, as there is no C++ compiler ({compiler}: {error})");
            return None;
        }
        Ok(built) => assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr)),
    }
    let path = CString::new(library.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: the library has no constructors beyond those of its thread-local state.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "the emulated kernels do not load");
    Some(handle as usize)
}

/// Memory between two guards.
pub(crate) struct Buffer {
    memory: Vec<u64>,
    len: usize,
}

impl Buffer {
    fn filled(len: usize, with: u8) -> Self {
        let memory = vec![u64::from_ne_bytes([NAN; 8]); (len + 2 * GUARD).div_ceil(8) + 32];
        let mut buffer = Self { memory, len };
        buffer.inside_mut().fill(with);
        buffer
    }

    /// Where the buffer begins, on a multiple of 256.
    fn begin(&self) -> usize {
        let base = self.memory.as_ptr() as usize;
        (base + GUARD).next_multiple_of(256) - base
    }

    fn all(&self) -> &[u8] {
        // SAFETY: whole words are bytes too.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.memory.len() * 8) }
    }

    fn inside_mut(&mut self) -> &mut [u8] {
        let (begin, len) = (self.begin(), self.len);
        // SAFETY: as above.
        let all =
            unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast::<u8>(), self.memory.len() * 8) };
        &mut all[begin..begin + len]
    }

    /// What is there.
    fn read<T: Plain>(&self) -> Vec<T> {
        let at = self.all()[self.begin()..].as_ptr().cast::<T>();
        // SAFETY: the buffer is aligned beyond any element, and its bytes are initialised.
        (0..self.len / size_of::<T>()).map(|i| unsafe { at.add(i).read() }).collect()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let (begin, end) = (self.begin(), self.begin() + self.len);
        let intact = self.all()[..begin].iter().chain(&self.all()[end..]).all(|&byte| byte == NAN);
        assert!(intact || std::thread::panicking(), "a kernel wrote outside its buffers");
    }
}

#[repr(C)]
struct Start {
    grid: [c_uint; 3],
    threads: c_uint,
    shared: c_uint,
    backwards: c_int,
}

impl Machine for Emulator {
    type Error = Infallible;
    type Buffer = Buffer;

    fn upload<T: Plain>(&self, data: &[T]) -> Result<Buffer, Infallible> {
        let mut buffer = Buffer::filled(size_of_val(data), 0);
        buffer.inside_mut().copy_from_slice(bytes(data));
        Ok(buffer)
    }

    fn room(&self, bytes: usize) -> Result<Buffer, Infallible> {
        Ok(Buffer::filled(bytes, NAN))
    }

    fn download<T: Plain>(&self, buffer: &Buffer) -> Result<Vec<T>, Infallible> {
        Ok(buffer.read())
    }

    fn address(&self, buffer: &Buffer) -> u64 {
        (buffer.memory.as_ptr() as usize + buffer.begin()) as u64
    }

    fn wanted_blocks(&self) -> usize {
        24
    }

    unsafe fn launch<A: Plain>(&self, launch: Launch<'_>, arguments: &A) -> Result<(), Infallible> {
        let name = CString::new(launch.kernel).expect("a kernel's name");
        // SAFETY: the handle is that of a loaded library.
        let kernel = unsafe { libc::dlsym(self.library as *mut c_void, name.as_ptr()) };
        assert!(!kernel.is_null(), "there is no kernel {}", launch.kernel);
        // SAFETY: this is what `KERNEL` of emulate.h declares.
        let kernel: extern "C" fn(*const c_void, *const Start) = unsafe { std::mem::transmute(kernel) };
        let start = Start {
            grid: launch.blocks.map(|count| count as c_uint),
            threads: launch.threads as c_uint,
            shared: launch.shared as c_uint,
            backwards: c_int::from(self.backwards),
        };
        kernel(std::ptr::from_ref(arguments).cast(), &raw const start);
        Ok(())
    }
}
