//! The FFmpeg edge: containers, packets and decoders as owning types with safe methods.
//!
//! `ffmpeg-next`'s own wrappers end the iteration silently at read errors, panic at file names that are no UTF-8 and
//! take no options and interrupt together with a closed error path, so this file speaks to the C functions itself.

use super::limits::Limits;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{self as ffmpeg, ffi, frame, packet};
use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// An FFmpeg error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) c_int);

impl Code {
    pub(super) const EOF: Self = Self(ffi::AVERROR_EOF);
    pub(super) const AGAIN: Self = Self(ffi::AVERROR(libc::EAGAIN));
    pub(super) const INVALID: Self = Self(ffi::AVERROR_INVALIDDATA);
    pub(super) const NO_MEMORY: Self = Self(ffi::AVERROR(libc::ENOMEM));
    pub(super) const EXIT: Self = Self(ffi::AVERROR_EXIT);

    pub(super) fn check(code: c_int) -> Result<c_int, Self> {
        if code < 0 { Err(Self(code)) } else { Ok(code) }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = ffmpeg::Error::from(self.0).to_string();
        f.write_str(text.trim())
    }
}

/// FFmpeg's log goes to stderr by default; a library does not print, and what matters comes back as codes.
pub(super) fn quiet() {
    static ONCE: Once = Once::new();
    // SAFETY: sets one integer inside libavutil.
    ONCE.call_once(|| unsafe { ffi::av_log_set_level(ffi::AV_LOG_QUIET) });
}

/// Pictures that there must be room for once memory ran out: where there is, it was one packet that asked for an absurd amount.
const ROOM: u64 = 8;

/// Whether memory is what an operation on pictures of so many pixels failed for. Not every decoder says so in its code.
pub(super) fn is_out_of_memory(code: Code, pixels: u64) -> bool {
    let picture = pixels.saturating_mul(4);
    lacks(if code == Code::NO_MEMORY { picture.saturating_mul(ROOM) } else { picture })
}

/// Whether this process cannot have so many bytes more.
pub(super) fn lacks(bytes: u64) -> bool {
    let mut room: Vec<u8> = Vec::new();
    // What is not looked at could be left out.
    std::hint::black_box(&mut room).try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX)).is_err()
}

/// How often anything has moved in this process: a sign of life for whoever watches it from outside.
static MOVES: AtomicU64 = AtomicU64::new(0);

/// How often a packet was read or a frame decoded in this process.
pub(super) fn moves() -> u64 {
    MOVES.load(Ordering::Relaxed)
}

/// Tells FFmpeg's blocking calls when to give up: at a deadline that progress pushes on, or when cancelled.
#[derive(Debug)]
pub(super) struct Watch {
    origin: Instant,
    deadline_ns: AtomicU64,
    cancel: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn new(cancel: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), deadline_ns: AtomicU64::new(u64::MAX), cancel })
    }

    /// Allows `limit` from now.
    pub(super) fn allow(&self, limit: Duration) {
        MOVES.fetch_add(1, Ordering::Relaxed);
        let at = self.origin.elapsed().saturating_add(limit).as_nanos();
        self.deadline_ns.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn cancel(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    pub(super) fn expired(&self) -> bool {
        self.origin.elapsed().as_nanos() > u128::from(self.deadline_ns.load(Ordering::Relaxed))
    }
}

extern "C" fn interrupted(watch: *mut c_void) -> c_int {
    // SAFETY: `Demuxer` installs a pointer to the `Watch` that it keeps alive until after the context is closed.
    let watch = unsafe { &*watch.cast::<Watch>() };
    c_int::from(watch.cancelled() || watch.expired())
}

/// An opened container.
pub(super) struct Demuxer {
    /// Closes the context when dropped, which has to be before `watch` goes
    input: Input,
    watch: Arc<Watch>,
}

impl Demuxer {
    /// Opens a local file; nothing but `formats` (FFmpeg demuxer names) and the `file` protocol is let in.
    pub(super) fn open(path: &Path, formats: &str, limits: &Limits, watch: Arc<Watch>) -> Result<Self, Code> {
        quiet();
        // The prefix keeps names with colons and leading dashes from being read as protocols.
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let url = CString::new(url).map_err(|_| Code(ffi::AVERROR(libc::EINVAL)))?;
        let mut options = Options::new(&[
            ("protocol_whitelist", "file"),
            ("format_whitelist", formats),
            ("max_streams", &limits.max_streams.to_string()),
            // QuickTime data references to other files stay unread
            ("enable_drefs", "0"),
            ("use_absolute_path", "0"),
            // what ffprobe sets: all programmes of a transport stream are known after opening
            ("scan_all_pmts", "1"),
        ]);
        // SAFETY: plain allocation, checked for null.
        let mut context = unsafe { ffi::avformat_alloc_context() };
        if context.is_null() {
            return Err(Code::NO_MEMORY);
        }
        // SAFETY: `context` is a fresh, valid context. The callback's pointer stays valid: `watch` is moved into the
        // `Demuxer` below, and on the error path avformat_open_input has freed the context before `watch` drops.
        unsafe {
            (*context).interrupt_callback =
                ffi::AVIOInterruptCB { callback: Some(interrupted), opaque: Arc::as_ptr(&watch).cast_mut().cast() };
            Code::check(ffi::avformat_open_input(
                &raw mut context,
                url.as_ptr(),
                ptr::null_mut(),
                options.as_mut_ptr(),
            ))?;
        }
        // SAFETY: the context is open, and nothing else holds it.
        let demuxer = Self { input: unsafe { Input::wrap(context) }, watch };
        demuxer.find_stream_info(limits)?;
        Ok(demuxer)
    }

    fn find_stream_info(&self, limits: &Limits) -> Result<(), Code> {
        let max_pixels = limits.max_pixels.to_string();
        let mut options: Vec<Options> =
            (0..self.stream_count()).map(|_| Options::new(&[("max_pixels", &max_pixels)])).collect();
        let mut pointers: Vec<_> = options.iter().map(|option| option.0).collect();
        // SAFETY: the context is open; `pointers` has one dictionary for each stream, as the function asks. It may
        // replace them, so they are stored back for `Options` to free.
        let code = unsafe { ffi::avformat_find_stream_info(self.context(), pointers.as_mut_ptr()) };
        for (option, pointer) in options.iter_mut().zip(pointers) {
            option.0 = pointer;
        }
        Code::check(code).map(drop)
    }

    /// Valid and open for as long as `self` lives.
    fn context(&self) -> *mut ffi::AVFormatContext {
        // SAFETY: only copies the pointer.
        unsafe { self.input.as_ptr().cast_mut() }
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub(super) fn format(&self) -> String {
        // SAFETY: an opened context has an input format, whose name is a static string.
        unsafe { text((*(*self.context()).iformat).name) }
    }

    /// Length of the whole file in microseconds, where the container or FFmpeg's estimate says.
    pub(super) fn duration_us(&self) -> Option<i64> {
        // SAFETY: reads a number of a valid context.
        known(unsafe { (*self.context()).duration })
    }

    /// Whether the duration is no more than a guess from the bit rate.
    pub(super) fn duration_is_guess(&self) -> bool {
        // SAFETY: reads an enum of a valid context.
        let method = unsafe { (*self.context()).duration_estimation_method };
        method == ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE
    }

    pub(super) fn stream_count(&self) -> usize {
        // SAFETY: reads a number of a valid context.
        unsafe { (*self.context()).nb_streams as usize }
    }

    fn stream_ptr(&self, index: usize) -> *mut ffi::AVStream {
        assert!(index < self.stream_count(), "stream index in range");
        // SAFETY: `streams` has `nb_streams` valid entries, and the index was checked.
        unsafe { *(*self.context()).streams.add(index) }
    }

    pub(super) fn stream(&self, index: usize) -> &ffi::AVStream {
        // SAFETY: the stream lives as long as the context; `&self` keeps it from being changed by a read.
        unsafe { &*self.stream_ptr(index) }
    }

    pub(super) fn parameters(&self, index: usize) -> &ffi::AVCodecParameters {
        // SAFETY: every stream of an opened context has codec parameters, which live as long as it does.
        unsafe { &*self.stream(index).codecpar }
    }

    /// The bytes of a stream's side data of a kind, if it has any.
    pub(super) fn side_data(&self, index: usize, kind: packet::side_data::Type) -> Option<Vec<u8>> {
        let stream = self.input.stream(index)?;
        stream.side_data().find(|data| data.kind() == kind).map(|data| data.data().to_vec())
    }

    /// Reads nothing but stream `index` from here on.
    pub(super) fn keep_only(&mut self, index: usize) {
        for other in (0..self.stream_count()).filter(|&other| other != index) {
            // SAFETY: the stream is valid, and `&mut self` makes this the only access.
            unsafe { (*self.stream_ptr(other)).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }

    /// Reads stream `index` too from here on.
    pub(super) fn keep(&mut self, index: usize) {
        // SAFETY: the stream is valid, and `&mut self` makes this the only access.
        unsafe { (*self.stream_ptr(index)).discard = ffi::AVDiscard::AVDISCARD_DEFAULT };
    }

    /// A stream's codec parameters, for a muxer.
    pub(super) fn codec_parameters(&self, index: usize) -> Option<ffmpeg::codec::Parameters> {
        self.input.stream(index).map(|stream| stream.parameters())
    }

    /// Reads the next packet of any kept stream.
    pub(super) fn read(&mut self, packet: &mut Packet) -> Result<(), Code> {
        // SAFETY: both are valid and owned; FFmpeg unreferences the packet's old content first.
        unsafe {
            ffi::av_packet_unref(packet.0);
            Code::check(ffi::av_read_frame(self.context(), packet.0)).map(drop)
        }
    }

    /// Goes to the index entry at or before `timestamp` (ticks of the stream, in whatever clock the index uses).
    pub(super) fn seek(&mut self, index: usize, timestamp: i64) -> Result<(), Code> {
        let index = c_int::try_from(index).unwrap_or(-1);
        // SAFETY: the context is valid and owned.
        Code::check(unsafe { ffi::av_seek_frame(self.context(), index, timestamp, ffi::AVSEEK_FLAG_BACKWARD) })
            .map(drop)
    }

    /// Entries of the demuxer's index of a stream: (timestamp, is a key frame, is hidden by an edit list).
    pub(super) fn index_entries(&self, index: usize) -> Vec<(i64, bool, bool)> {
        let stream = self.stream_ptr(index);
        // SAFETY: the stream is valid.
        let count = unsafe { ffi::avformat_index_get_entries_count(stream) };
        (0..count)
            .filter_map(|at| {
                // SAFETY: the entry is read at once, before any call that could move the index.
                unsafe { ffi::avformat_index_get_entry(stream, at).as_ref() }.map(|entry| {
                    let flags = entry.flags();
                    (entry.timestamp, flags & ffi::AVINDEX_KEYFRAME != 0, flags & ffi::AVINDEX_DISCARD_FRAME != 0)
                })
            })
            .collect()
    }
}

/// An FFmpeg dictionary.
struct Options(*mut ffi::AVDictionary);

impl Options {
    fn new(entries: &[(&str, &str)]) -> Self {
        let mut options = Self(ptr::null_mut());
        for (key, value) in entries {
            if let (Ok(key), Ok(value)) = (CString::new(*key), CString::new(*value)) {
                // SAFETY: both strings are NUL-terminated and copied by FFmpeg.
                unsafe { ffi::av_dict_set(options.as_mut_ptr(), key.as_ptr(), value.as_ptr(), 0) };
            }
        }
        options
    }

    fn as_mut_ptr(&mut self) -> *mut *mut ffi::AVDictionary {
        &raw mut self.0
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: owned, freed once; null is allowed.
        unsafe { ffi::av_dict_free(&raw mut self.0) };
    }
}

/// A compressed packet.
pub(super) struct Packet(*mut ffi::AVPacket);

// SAFETY: an AVPacket has no thread affinity and is owned.
unsafe impl Send for Packet {}

impl Packet {
    pub(super) fn new() -> Result<Self, Code> {
        // SAFETY: plain allocation, checked for null.
        let packet = unsafe { ffi::av_packet_alloc() };
        if packet.is_null() { Err(Code::NO_MEMORY) } else { Ok(Self(packet)) }
    }

    fn get(&self) -> &ffi::AVPacket {
        // SAFETY: allocated in `new`, freed only in `drop`.
        unsafe { &*self.0 }
    }

    pub(super) fn stream(&self) -> usize {
        usize::try_from(self.get().stream_index).unwrap_or(usize::MAX)
    }

    pub(super) fn pts(&self) -> Option<i64> {
        known(self.get().pts)
    }

    pub(super) fn dts(&self) -> Option<i64> {
        known(self.get().dts)
    }

    pub(super) fn duration(&self) -> i64 {
        self.get().duration
    }

    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.get().size).unwrap_or(0)
    }

    /// The same content as a packet of `ffmpeg-next`, for a muxer.
    pub(super) fn share(&self) -> Result<ffmpeg::Packet, Code> {
        use packet::Mut;
        let mut shared = ffmpeg::Packet::empty();
        // SAFETY: both packets are valid; the content is counted by reference, or copied.
        Code::check(unsafe { ffi::av_packet_ref(shared.as_mut_ptr(), self.0) })?;
        Ok(shared)
    }

    pub(super) fn is_key(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Decoded, but hidden by an edit list.
    pub(super) fn is_hidden(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        let mut size = 0;
        let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_ENCRYPTION_INFO;
        // SAFETY: the packet is valid; only the presence of the data is looked at.
        unsafe { !ffi::av_packet_get_side_data(self.0, kind, &raw mut size).is_null() }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { ffi::av_packet_free(&raw mut self.0) };
    }
}

/// An opened video decoder.
pub(super) struct Codec(*mut ffi::AVCodecContext);

// SAFETY: an AVCodecContext has no thread affinity and is owned.
unsafe impl Send for Codec {}

impl Codec {
    /// Whether FFmpeg has a decoder for the stream.
    pub(super) fn exists(demuxer: &Demuxer, stream: usize) -> bool {
        // SAFETY: looks a number up in a static table.
        unsafe { !ffi::avcodec_find_decoder(demuxer.parameters(stream).codec_id).is_null() }
    }

    pub(super) fn open(demuxer: &Demuxer, stream: usize, limits: &Limits) -> Result<Self, Code> {
        let parameters = demuxer.parameters(stream);
        // SAFETY: looks a number up in a static table; the allocation is checked for null and owned from there on.
        let (decoder, codec) = unsafe {
            let decoder = ffi::avcodec_find_decoder(parameters.codec_id);
            if decoder.is_null() {
                return Err(Code(ffi::AVERROR_DECODER_NOT_FOUND));
            }
            let context = ffi::avcodec_alloc_context3(decoder);
            if context.is_null() {
                return Err(Code::NO_MEMORY);
            }
            (decoder, Self(context))
        };
        let mut options = Options::new(&[("max_pixels", &limits.max_pixels.to_string())]);
        // SAFETY: the context is fresh and owned, the parameters belong to an opened stream.
        unsafe {
            Code::check(ffi::avcodec_parameters_to_context(codec.0, parameters))?;
            (*codec.0).pkt_timebase = demuxer.stream(stream).time_base;
            (*codec.0).thread_count = c_int::try_from(limits.thread_count()).unwrap_or(1);
            (*codec.0).thread_type = ffi::FF_THREAD_FRAME | ffi::FF_THREAD_SLICE;
            Code::check(ffi::avcodec_open2(codec.0, decoder, options.as_mut_ptr()))?;
        }
        Ok(codec)
    }

    /// Gives the decoder a packet, or with `None` tells it that there are no more.
    pub(super) fn send(&mut self, packet: Option<&Packet>) -> Result<(), Code> {
        let packet = packet.map_or(ptr::null(), |packet| packet.0.cast_const());
        // SAFETY: the context is open; the packet is valid or null, which FFmpeg reads as the end.
        Code::check(unsafe { ffi::avcodec_send_packet(self.0, packet) }).map(drop)
    }

    /// Takes a finished picture.
    pub(super) fn receive(&mut self, frame: &mut frame::Video) -> Result<(), Code> {
        // SAFETY: both are valid; FFmpeg unreferences the frame's old content first.
        Code::check(unsafe { ffi::avcodec_receive_frame(self.0, frame.as_mut_ptr()) }).map(drop)
    }

    /// Forgets everything, for use after a seek.
    pub(super) fn flush(&mut self) {
        // SAFETY: the context is open.
        unsafe { ffi::avcodec_flush_buffers(self.0) };
    }

    /// Packets that the decoder may hold before their pictures come out.
    pub(super) fn delay(&self) -> usize {
        // SAFETY: reads numbers of an open context.
        let (reorder, threads) = unsafe { ((*self.0).has_b_frames, (*self.0).thread_count) };
        usize::try_from(reorder.max(0) + threads.max(1)).unwrap_or(1)
    }

    /// Whether pictures that no other refers to may be left out from the next packet on.
    pub(super) fn skip_disposable(&mut self, skip: bool) {
        let discard = if skip { ffi::AVDiscard::AVDISCARD_NONREF } else { ffi::AVDiscard::AVDISCARD_DEFAULT };
        // SAFETY: a plain field that FFmpeg reads at the next packet.
        unsafe { (*self.0).skip_frame = discard };
    }
}

impl Drop for Codec {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { ffi::avcodec_free_context(&raw mut self.0) };
    }
}

/// The demuxer that FFmpeg would choose for these first bytes, whatever the file is called.
pub(super) fn probe(head: &[u8]) -> Option<String> {
    let mut padded = head.to_vec();
    padded.resize(head.len() + ffi::AVPROBE_PADDING_SIZE as usize, 0);
    let data = ffi::AVProbeData {
        filename: c"".as_ptr(),
        buf: padded.as_mut_ptr(),
        buf_size: c_int::try_from(head.len()).ok()?,
        mime_type: ptr::null(),
    };
    let mut score = 0;
    // SAFETY: the buffer has the padding that FFmpeg asks for and outlives the call.
    let format = unsafe { ffi::av_probe_input_format3(&raw const data, 1, &raw mut score).as_ref() }?;
    // SAFETY: a demuxer's name is a static string.
    Some(unsafe { text(format.name) })
}

/// FFmpeg's name of a codec.
pub(super) fn codec_name(id: ffi::AVCodecID) -> String {
    // SAFETY: returns a static string for every number.
    unsafe { text(ffi::avcodec_get_name(id)) }
}

/// Whether the muxer of this name takes a codec.
pub(super) fn takes(muxer: &CStr, codec: ffi::AVCodecID) -> bool {
    // SAFETY: the name is NUL-terminated; null where there is no such muxer, which is checked.
    unsafe {
        let format = ffi::av_guess_format(muxer.as_ptr(), ptr::null(), ptr::null());
        !format.is_null() && ffi::avformat_query_codec(format, codec, ffi::FF_COMPLIANCE_NORMAL) == 1
    }
}

/// Forgets the four characters by which the source's container calls a codec: others have others.
pub(super) fn untag(parameters: &mut ffmpeg::codec::Parameters) {
    // SAFETY: the parameters are valid and borrowed exclusively.
    unsafe { (*parameters.as_mut_ptr()).codec_tag = 0 };
}

/// Name and bits per component of a pixel format; the number is FFmpeg's.
pub(super) fn pixel_format(format: c_int) -> Option<(String, u8)> {
    if !(0..ffi::AVPixelFormat::AV_PIX_FMT_NB as c_int).contains(&format) {
        return None;
    }
    // SAFETY: the number was checked to be one of the enum's, whose values are consecutive from 0.
    let format = unsafe { std::mem::transmute::<c_int, ffi::AVPixelFormat>(format) };
    // SAFETY: returns a static description, or null for unknown formats.
    let description = unsafe { ffi::av_pix_fmt_desc_get(format).as_ref() }?;
    // SAFETY: the name is a static string.
    Some((unsafe { text(description.name) }, u8::try_from(description.comp[0].depth).unwrap_or(8)))
}

/// `None` for FFmpeg's "no timestamp".
pub(super) fn known(ticks: i64) -> Option<i64> {
    (ticks != ffi::AV_NOPTS_VALUE).then_some(ticks)
}

/// # Safety
/// `pointer` is null or a NUL-terminated string.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the caller's word.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
