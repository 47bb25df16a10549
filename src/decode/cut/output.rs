//! Where a container is written to: FFmpeg's muxer, whose bytes go to whoever takes them, so that it needs no file.

use crate::decode::native::Code;
use ffmpeg_next::{Packet, Rational, codec, ffi};
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ptr::{self, NonNull};

/// Takes bytes of a file and where they stand in it. Some stand where others stood before.
pub(crate) type Sink<'a> = dyn FnMut(u64, &[u8]) -> io::Result<()> + 'a;

/// Bytes that the muxer collects before they are taken.
const BUFFER: c_int = 64 << 10;
/// What FFmpeg's callbacks answer where they cannot.
const FAILED: c_int = ffi::AVERROR(libc::EIO);

/// A muxer.
pub(super) struct Output<'a> {
    context: NonNull<ffi::AVFormatContext>,
    /// What FFmpeg's callbacks write to, given up by [`Output::drop`]
    tape: NonNull<Tape<'a>>,
}

/// A file as it grows.
struct Tape<'a> {
    sink: &'a mut Sink<'a>,
    /// Where the next bytes stand
    at: u64,
    end: u64,
    /// Why a byte was not taken
    trouble: Option<io::Error>,
}

impl Tape<'_> {
    fn write(&mut self, bytes: &[u8]) -> c_int {
        let Ok(length) = c_int::try_from(bytes.len()) else { return FAILED };
        if let Err(error) = (self.sink)(self.at, bytes) {
            self.trouble.get_or_insert(error);
            return FAILED;
        }
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        length
    }

    fn seek(&mut self, offset: i64, whence: c_int) -> i64 {
        let from = match whence & !ffi::AVSEEK_FORCE {
            whence if whence == ffi::AVSEEK_SIZE => return i64::try_from(self.end).unwrap_or(FAILED.into()),
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => self.at,
            libc::SEEK_END => self.end,
            _ => return FAILED.into(),
        };
        let Some(at) = from.checked_add_signed(offset) else { return FAILED.into() };
        self.at = at;
        i64::try_from(at).unwrap_or(FAILED.into())
    }
}

unsafe extern "C" fn write(tape: *mut c_void, bytes: *const u8, length: c_int) -> c_int {
    let Ok(length) = usize::try_from(length) else { return FAILED };
    // SAFETY: `Output` installs a pointer to the `Tape` that it keeps until the context is closed, and FFmpeg calls from the thread
    // that called it; the bytes are as many as it says.
    let (tape, bytes) = unsafe { (&mut *tape.cast::<Tape<'_>>(), std::slice::from_raw_parts(bytes, length)) };
    tape.write(bytes)
}

unsafe extern "C" fn seek(tape: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as for `write`.
    unsafe { &mut *tape.cast::<Tape<'_>>() }.seek(offset, whence)
}

impl<'a> Output<'a> {
    /// A container of the muxer with this name.
    pub(super) fn new(muxer: &CStr, sink: &'a mut Sink<'a>) -> Result<Self, Code> {
        let mut context = ptr::null_mut();
        // SAFETY: the name is NUL-terminated; a context is written to the pointer, or null.
        let code =
            unsafe { ffi::avformat_alloc_output_context2(&raw mut context, ptr::null(), muxer.as_ptr(), ptr::null()) };
        Code::check(code)?;
        let context = NonNull::new(context).ok_or(Code::NO_MEMORY)?;
        let tape = NonNull::from(Box::leak(Box::new(Tape { sink, at: 0, end: 0, trouble: None })));
        let output = Self { context, tape };
        #[expect(
            clippy::missing_transmute_annotations,
            reason = "the type is another before FFmpeg 7, whose bytes became const"
        )]
        // SAFETY: both are pointers to functions of one C type but for that.
        let write = unsafe { std::mem::transmute(write as unsafe extern "C" fn(_, *const u8, _) -> _) };
        // SAFETY: the buffer is FFmpeg's own and goes with the context in `drop`; so does the tape, behind it.
        unsafe {
            let buffer = ffi::av_malloc(BUFFER as usize).cast::<u8>();
            if buffer.is_null() {
                return Err(Code::NO_MEMORY);
            }
            let opaque = output.tape.as_ptr().cast();
            let io = ffi::avio_alloc_context(buffer, BUFFER, 1, opaque, None, Some(write), Some(seek));
            if io.is_null() {
                ffi::av_free(buffer.cast());
                return Err(Code::NO_MEMORY);
            }
            (*context.as_ptr()).pb = io;
            (*context.as_ptr()).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        }
        Ok(output)
    }

    /// Adds a stream, whose packets will come with times on `clock`.
    pub(super) fn add(&mut self, parameters: &codec::Parameters, clock: Rational) -> Result<(), Code> {
        // SAFETY: the context is valid until `drop`; the new stream is its own.
        unsafe {
            let stream = ffi::avformat_new_stream(self.context.as_ptr(), ptr::null());
            let stream = stream.as_mut().ok_or(Code::NO_MEMORY)?;
            stream.time_base = clock.into();
            Code::check(ffi::avcodec_parameters_copy(stream.codecpar, parameters.as_ptr())).map(drop)
        }
    }

    /// Writes what stands before the packets; streams have their final clocks then.
    pub(super) fn write_header(&mut self) -> Result<(), Code> {
        // SAFETY: the context is valid, with its streams.
        Code::check(unsafe { ffi::avformat_write_header(self.context.as_ptr(), ptr::null_mut()) }).map(drop)
    }

    /// The clock that the container chose for a stream.
    pub(super) fn clock(&self, stream: usize) -> Option<Rational> {
        // SAFETY: the context is valid, and has so many streams.
        unsafe {
            let context = self.context.as_ref();
            (stream < context.nb_streams as usize).then(|| Rational::from((**context.streams.add(stream)).time_base))
        }
    }

    /// Writes a packet when its turn comes.
    pub(super) fn write(&mut self, packet: &mut Packet) -> Result<(), Code> {
        use ffmpeg_next::packet::Mut;
        // SAFETY: both are valid; what the packet holds is taken over.
        Code::check(unsafe { ffi::av_interleaved_write_frame(self.context.as_ptr(), packet.as_mut_ptr()) }).map(drop)
    }

    /// Writes what stands behind the packets, and lets nothing wait any more.
    pub(super) fn write_trailer(&mut self) -> Result<(), Code> {
        // SAFETY: the context is valid, and its header was written.
        Code::check(unsafe { ffi::av_write_trailer(self.context.as_ptr()) })?;
        // SAFETY: as above. Errors of the tape stay with it.
        unsafe { ffi::avio_flush((*self.context.as_ptr()).pb) };
        Ok(())
    }

    /// Why a byte was not taken, if one was not.
    pub(super) fn trouble(&mut self) -> Option<io::Error> {
        // SAFETY: leaked in `new`, taken back in `drop`; nothing of FFmpeg's runs now.
        unsafe { self.tape.as_mut() }.trouble.take()
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // SAFETY: all of this is owned and freed once; what the context still holds back is not written, since its callbacks are not
        // called here.
        unsafe {
            let io = &raw mut (*self.context.as_ptr()).pb;
            if !(*io).is_null() {
                ffi::av_freep((&raw mut (**io).buffer).cast());
                ffi::avio_context_free(io);
            }
            ffi::avformat_free_context(self.context.as_ptr());
            drop(Box::from_raw(self.tape.as_ptr()));
        }
    }
}
