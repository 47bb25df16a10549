//! How results are handed over: in which format, to which file, with which pictures and clips beside them.

use super::failure::{Failure, Kind, Result};
use super::time::format_time;
use super::{Context, output};
use crate::decode::{self, CutError, Feed, How};
use crate::excerpt;
use crate::render::{Format, Media, Thumb};
use crate::scenes::{self, Content};
use clap::builder::PossibleValue;
use image::RgbImage;
use longsight_models::Span;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The format of a result, and where it goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct FormatArgs {
    /// What is written [default: text, or json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead of stdout
    #[arg(short, long, alias = "output", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Pictures and clips of the spans of a result.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ExcerptArgs {
    /// Write a picture of each span to this folder
    #[arg(long, value_name = "DIR")]
    thumbs: Option<PathBuf>,
    /// Write the pictures of all spans to this JPEG or PNG file
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// Write each span to this folder as a video of its own, copied from key frame on
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Cut the clips to the frame, by encoding them anew
    #[arg(long, requires = "clips")]
    exact: bool,
    /// Show the shots too, on the time line of a page; reads every frame
    #[arg(long)]
    with_scenes: bool,
}

impl clap::ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        const FORMATS: [Format; Format::ALL.len()] = {
            let mut formats = [Format::Text; Format::ALL.len()];
            let mut at = 0;
            while at < formats.len() {
                formats[at] = Format::ALL[at].1;
                at += 1;
            }
            formats
        };
        &FORMATS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name());
        Some(if *self == Self::Text { value.alias("table") } else { value })
    }
}

impl FormatArgs {
    /// The format, `--json` being one way to name it.
    ///
    /// # Errors
    /// With exit code 2 when two are asked for.
    pub(super) fn format(&self, context: &Context) -> Result<Format> {
        match (self.format, context.json) {
            (None | Some(Format::Json), true) => Ok(Format::Json),
            (Some(other), true) if other != Format::JsonLines => {
                Err(Failure::new(Kind::Usage, "--json and --format ask for different things").hint("give one"))
            }
            (format, _) => Ok(format.unwrap_or(Format::Text)),
        }
    }

    /// Looks at the place for the result before anything is done for it.
    ///
    /// # Errors
    /// With exit code 2 when it is one of the videos, or no place for a file.
    pub(super) fn check(&self, videos: &[impl AsRef<Path>]) -> Result {
        self.out.as_ref().map_or(Ok(()), |out| check_file(out, videos, "--out"))
    }

    /// Prints the result, or puts it into the file.
    ///
    /// # Errors
    /// When the file or stdout cannot be written.
    pub(super) fn write(&self, text: &str) -> Result {
        match &self.out {
            Some(path) => put(path, text.as_bytes(), "--out"),
            None => {
                output::bytes(text.as_bytes());
                output::delivered()
            }
        }
    }

    /// How the page that is written reaches a video: relative to the page, so that both can move together, or, from stdout,
    /// absolutely. `None` for a pipe.
    pub(super) fn player(&self, video: &Path) -> Option<PathBuf> {
        if video == Path::new("-") {
            return None;
        }
        let video = video.canonicalize().ok()?;
        let Some(out) = &self.out else { return Some(video) };
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().map_or_else(|_| video.clone(), |folder| relative(&folder, &video)))
    }
}

/// The way from a folder to a file, both absolute.
fn relative(folder: &Path, file: &Path) -> PathBuf {
    let shared = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

/// What is shown of one file.
pub(super) struct Excerpts<'a> {
    /// The file to open
    pub(super) file: &'a Path,
    /// Its spans
    pub(super) spans: &'a [Span],
}

impl ExcerptArgs {
    /// Looks at the places for pictures and clips before anything is done for them.
    ///
    /// # Errors
    /// With exit code 2 when one is one of the videos, or no place for what is to be there.
    pub(super) fn check(&self, videos: &[impl AsRef<Path>]) -> Result {
        if let Some(sheet) = &self.contact_sheet {
            check_file(sheet, videos, "--contact-sheet")?;
        }
        for (folder, flag) in [(&self.thumbs, "--thumbs"), (&self.clips, "--clips")] {
            if let Some(folder) = folder.as_ref().filter(|folder| folder.exists() && !folder.is_dir()) {
                return Err(Failure::new(Kind::Usage, format!("{}: is no folder", folder.display()))
                    .hint(format!("name a folder with {flag}")));
            }
        }
        Ok(())
    }

    /// The shots of a file, for a page that is to show them.
    ///
    /// # Errors
    /// When the file can no longer be read.
    pub(super) fn scenes(&self, video: &Feed, format: Format) -> Result<Vec<Span>> {
        if !self.with_scenes || format != Format::Html {
            return Ok(Vec::new());
        }
        let found = scenes::detect(video, &Content::default(), None, &mut |_| ())?;
        Ok(found.scenes.iter().map(|scene| Span { start: scene.start, end: scene.end }).collect())
    }

    /// Writes the pictures and clips of some files that were asked for, numbered from 1 in their order, and gives each file's
    /// pictures, for a page where `pictures` asks for them.
    ///
    /// # Errors
    /// When a file can no longer be read, or something cannot be written.
    pub(super) fn write(
        &self,
        of: &[Excerpts<'_>],
        pictures: bool,
        context: &Context,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Vec<Vec<Thumb>>> {
        let anything = self.thumbs.is_some() || self.contact_sheet.is_some() || self.clips.is_some();
        if anything && of.iter().all(|file| file.spans.is_empty()) {
            output::note(context, "there is no span to show: no picture and no clip was written");
        }
        let (mut thumbs, mut sheet, mut number) = (Vec::new(), Vec::new(), 0);
        let videos: Vec<&Path> = of.iter().map(|one| one.file).collect();
        for Excerpts { file, spans } in of {
            let mut shown = Vec::new();
            if pictures || self.thumbs.is_some() || self.contact_sheet.is_some() {
                shown = self.pictures((file, &videos), spans, number, context, cancel, &mut sheet)?;
            }
            if let Some(folder) = &self.clips {
                self.cut(folder, (file, &videos), spans, number, context, cancel)?;
            }
            number += spans.len();
            thumbs.push(shown);
        }
        if let Some(path) = self.contact_sheet.as_ref().filter(|_| !sheet.is_empty()) {
            let sheet = excerpt::contact_sheet(&sheet);
            let png = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
            let bytes = if png { excerpt::png(&sheet) } else { excerpt::jpeg(&sheet) };
            put(path, &bytes.map_err(|error| Failure::new(Kind::Internal, error))?, "--contact-sheet")?;
        }
        Ok(thumbs)
    }

    /// A picture of each span that can be decoded; `before` spans have numbers already, and no video is written over.
    fn pictures(
        &self,
        (file, videos): (&Path, &[&Path]),
        spans: &[Span],
        before: usize,
        context: &Context,
        cancel: &Arc<AtomicBool>,
        sheet: &mut Vec<(Span, RgbImage)>,
    ) -> Result<Vec<Thumb>> {
        let times: Vec<f64> = spans.iter().map(|&span| excerpt::middle(span)).collect();
        let frames = excerpt::pictures(&Feed::open(file, &context.decoder.limits())?, &times, cancel)?;
        let mut thumbs = Vec::new();
        let shown = spans.iter().zip(frames).zip(before + 1..);
        for ((span, frame), number) in shown.filter_map(|((span, frame), number)| Some(((span, frame?), number))) {
            let time_s = frame.time.seconds();
            let jpeg = excerpt::jpeg(&frame.image).map_err(|error| Failure::new(Kind::Internal, error))?;
            if let Some(folder) = &self.thumbs {
                make(folder, "--thumbs")?;
                let path = folder.join(format!("{number:03}-{time_s:.3}s.jpg"));
                spare(&path, videos, "--thumbs")?;
                put(&path, &jpeg, "--thumbs")?;
            }
            thumbs.push(Thumb { time_s, jpeg });
            if self.contact_sheet.is_some() {
                sheet.push((*span, frame.image));
            }
        }
        Ok(thumbs)
    }

    fn cut(
        &self,
        folder: &Path,
        (file, videos): (&Path, &[&Path]),
        spans: &[Span],
        before: usize,
        context: &Context,
        cancel: &Arc<AtomicBool>,
    ) -> Result {
        make(folder, "--clips")?;
        let video = Feed::open(file, &context.decoder.limits())?;
        let how = if self.exact { How::Encoded } else { How::Copied };
        for (span, number) in spans.iter().zip(before + 1..) {
            let stem = format!("{number:03}-{:.3}s-{:.3}s", span.start, span.end);
            for ending in decode::CLIP_ENDINGS {
                spare(&folder.join(format!("{stem}.{ending}")), videos, "--clips")?;
            }
            let cut = decode::cut(&video, *span, how, folder, &stem, cancel)?;
            let from = match cut.how {
                How::Copied => ", from key frame on",
                How::Encoded => "",
            };
            let (start, end) = (format_time(cut.span.start), format_time(cut.span.end));
            output::note(context, &format!("{}: {start} to {end}{from}", cut.path.display()));
        }
        Ok(())
    }
}

impl From<CutError> for Failure {
    fn from(error: CutError) -> Self {
        match error {
            CutError::Decode(error) => error.into(),
            CutError::Nothing { .. } => Self::new(Kind::Input, error),
            CutError::Refused { .. } => Self::new(Kind::Internal, error)
                .hint("clips are copied without --exact and encoded with it: try the other"),
            CutError::Place { .. } => Self::new(Kind::Internal, error),
        }
    }
}

fn make(folder: &Path, flag: &str) -> Result {
    std::fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error, flag))
}

/// Refuses a place for a file that is none, or is one of the videos.
fn check_file(path: &Path, videos: &[impl AsRef<Path>], flag: &str) -> Result {
    spare(path, videos, flag)?;
    if path.is_dir() {
        return Err(Failure::new(Kind::Usage, format!("{}: is a folder", path.display()))
            .hint(format!("name a file with {flag}")));
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => {
            Err(Failure::new(Kind::Usage, format!("{}: there is no folder {}", path.display(), folder.display()))
                .hint(format!("make the folder first, or choose another place with {flag}")))
        }
    }
}

/// Refuses to write over one of the videos, by whatever name, link or way.
fn spare(path: &Path, videos: &[impl AsRef<Path>], flag: &str) -> Result {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    // What `<` connects to stdin is a file too.
    let file = |video: &Path| identity(if video == Path::new("-") { Path::new("/dev/stdin") } else { video });
    let place = identity(path).filter(|_| path.is_file());
    if place.is_some() && videos.iter().any(|video| file(video.as_ref()) == place) {
        return Err(Failure::new(Kind::Usage, format!("{}: is the video itself", path.display()))
            .hint(format!("choose another place with {flag}")));
    }
    Ok(())
}

/// Writes a file whole or not at all; `flag` is what named it.
///
/// # Errors
/// When it cannot be written.
pub(super) fn put(path: &Path, bytes: &[u8], flag: &str) -> Result {
    let cannot = |error: &std::io::Error| Failure::unwritable(path, error, flag);
    let name = path.file_name().ok_or_else(|| cannot(&std::io::ErrorKind::InvalidFilename.into()))?;
    // A device or a pipe (`--out /dev/stdout`) is written as it is: nothing can be renamed to it.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(|error| cannot(&error));
    }
    let mut draft_name = OsStr::new(".").to_owned();
    draft_name.push(name);
    draft_name.push(format!(".{}.part", std::process::id()));
    let draft = path.with_file_name(draft_name);
    let written = std::fs::File::create(&draft)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        // What is left of it, if it was made at all.
        let _ = std::fs::remove_file(&draft);
        cannot(&error)
    })
}

/// The medium of a result, with a player where a page is written.
pub(super) fn media(video: &Feed, name: &Path, format: Format, args: &FormatArgs) -> Media {
    let player = if format == Format::Html { args.player(name) } else { None };
    Media { player, ..Media::new(name, video.info()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_its_video_can_move_together() {
        let way = |folder: &str, file: &str| relative(Path::new(folder), Path::new(file));
        assert_eq!(way("/a/b", "/a/b/c.mp4"), Path::new("c.mp4"));
        assert_eq!(way("/a/b/pages", "/a/b/c.mp4"), Path::new("../c.mp4"));
        assert_eq!(way("/x", "/a/c.mp4"), Path::new("../a/c.mp4"));
    }

    #[test]
    fn a_file_appears_whole() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out.txt");
        assert!(put(&path, b"one", "--out").is_ok() && put(&path, b"two", "--out").is_ok());
        assert_eq!(std::fs::read(&path)?, b"two");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        assert!(put(&folder.path().join("no/such/folder"), b"", "--out").is_err());
        Ok(())
    }
}
