//! From what the user wrote to a regular file that may be opened.

use super::error::DecodeError;
use super::limits::Limits;
use super::native;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Containers that are read, by FFmpeg's demuxer names. Playlists (hls, dash, concat, ...), devices, pictures and
/// network formats are not among them: they would open other files than the one that was named.
pub(super) const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpegtsraw,mpeg,mpegvideo,avi,flv,live_flv,\
    h264,hevc,m4v,h263,obu,av1,ivf,ogg,mxf,gif,apng,yuv4mpegpipe,asf,asf_o,nut,rm,dv,wtv,gxf,vc1,vc1test,mjpeg,\
    mjpeg_2000,dirac,cavsvideo,nsv,nuv,swf,roq,bink,smk,flic,film_cpk,amv,mv,pva,vivo,thp,rpl,lxf,mvi,4xm";

/// Bytes that are looked at to say what an unreadable file is.
const PROBE_BYTES: u64 = 1 << 20;

/// More than opening a file takes: where there is room for it, a demand that was refused was a damaged file's.
const OPENING_BYTES: u64 = 64 << 20;

/// Checks that `path` names a regular file with content.
///
/// # Errors
/// When it does not, or may not be read.
pub fn check(path: &Path) -> Result<(), DecodeError> {
    let owned = || path.to_path_buf();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(DecodeError::Unreadable { path: owned(), source: error });
        }
        Err(error) => {
            return Err(match scheme(path) {
                Some(scheme) => DecodeError::Protocol { path: owned(), scheme },
                None if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    DecodeError::NotFound { path: owned() }
                }
                None => DecodeError::Unreadable { path: owned(), source: error },
            });
        }
    };
    if metadata.is_dir() {
        return Err(DecodeError::Folder { path: owned() });
    }
    if !metadata.is_file() {
        return Err(DecodeError::NotRegular { path: owned() });
    }
    File::open(path).map_err(|source| DecodeError::Unreadable { path: owned(), source })?;
    if metadata.len() == 0 {
        return Err(DecodeError::Empty { path: owned() });
    }
    Ok(())
}

/// The `scheme` of `scheme:rest`, where it could be a URL's or an FFmpeg protocol's.
fn scheme(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once(':')?;
    let first = scheme.bytes().next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._,".contains(&b);
    // One letter is a Windows drive.
    (scheme.len() > 1 && first.is_ascii_alphabetic() && scheme.bytes().all(plain)).then(|| scheme.to_owned())
}

/// Says why FFmpeg did not open a file.
pub(super) fn explain(path: &Path, code: native::Code, limits: &Limits, timed_out: bool) -> DecodeError {
    let owned = path.to_path_buf();
    if timed_out {
        return DecodeError::OpenTimeout { path: owned, limit: limits.open_timeout };
    }
    if code == native::Code::NO_MEMORY && native::lacks(OPENING_BYTES) {
        return DecodeError::OutOfMemory { path: owned, limit: None };
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PROBE_BYTES).read_to_end(&mut head));
    if let Err(source) = read {
        return DecodeError::Unreadable { path: owned, source };
    }
    let Some(format) = native::probe(&head) else { return DecodeError::NotVideo { path: owned } };
    let allowed = format.split(',').any(|name| FORMATS.split(',').any(|known| known == name));
    if !allowed {
        return DecodeError::RefusedFormat { path: owned, format };
    }
    if format.starts_with("mov") && !has_moov(path).unwrap_or(true) {
        return DecodeError::Incomplete { path: owned };
    }
    DecodeError::Damaged { path: owned, reason: code.to_string() }
}

/// Whether one of the top-level boxes of an MP4 is a whole `moov`.
fn has_moov(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut at = 0u64;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0u8; 16];
        let got = file.read(&mut header)?;
        let small = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        let size = match small {
            0 => length - at,
            1 if got == 16 => header[8..].iter().fold(0, |size, byte| size << 8 | u64::from(*byte)),
            size => size,
        };
        let end = at.saturating_add(size.max(8));
        if &header[4..8] == b"moov" {
            return Ok(end <= length);
        }
        at = end;
    }
    Ok(false)
}

/// A pipe's content as a file, deleted when dropped.
#[derive(Debug)]
pub struct Spooled(tempfile::NamedTempFile);

impl Spooled {
    /// The file, to be opened like any other.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Copies a pipe to a temporary file, because containers are not read from front to back.
///
/// # Errors
/// When the pipe cannot be read, is empty or exceeds [`Limits::max_spool_bytes`], or the disk is full.
pub fn spool(pipe: impl Read, limits: &Limits) -> Result<Spooled, DecodeError> {
    let path = || PathBuf::from("-");
    let unreadable = |source| DecodeError::Unreadable { path: path(), source };
    let mut file = tempfile::Builder::new().prefix("longsight-").tempfile().map_err(unreadable)?;
    let copied = io::copy(&mut pipe.take(limits.max_spool_bytes.saturating_add(1)), &mut file).map_err(unreadable)?;
    file.flush().map_err(unreadable)?;
    match copied {
        0 => Err(DecodeError::Empty { path: path() }),
        copied if copied > limits.max_spool_bytes => {
            Err(DecodeError::TooLong { path: path(), limit: limits.max_spool_bytes })
        }
        _ => Ok(Spooled(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_prefixes_are_told_from_file_names() {
        for text in ["http://host/a.mp4", "https://host", "concat:a.ts|b.ts", "file:a.mp4", "pipe:0", "data:,x"] {
            assert!(scheme(Path::new(text)).is_some(), "{text}");
        }
        for text in ["a.mp4", "C:a.mp4", "talk 1: start.mp4", ":a", "12:30.mp4", "dir/x:y.mp4"] {
            assert!(scheme(Path::new(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn an_empty_or_endless_pipe_is_refused() {
        let limits = Limits { max_spool_bytes: 10, ..Limits::default() };
        assert!(matches!(spool(io::empty(), &limits), Err(DecodeError::Empty { .. })));
        assert!(matches!(spool(io::repeat(1), &limits), Err(DecodeError::TooLong { .. })));
        assert!(spool(&b"0123456789"[..], &limits).is_ok());
    }
}
