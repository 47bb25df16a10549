//! Where videos are decoded: the flags, and the process that does it.

use super::failure::Kind;
use super::parse_time;
use crate::decode::apart::{self, ForkServer, MEMORY};
use crate::decode::{Limits, Program};
use crate::recipe;
use crate::scenes;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Below this, the process cannot even load its libraries and open a small video.
const LEAST_MEMORY: u64 = 64 << 20;
/// The only argument of the process that decodes. No command: nobody but this program starts it.
const DECODER: &str = "--serve-decoder";
/// The same of the process that copies itself to decode.
const FORK_SERVER: &str = "--fork-decoders";
/// What the process may know of the environment: where a linker finds FFmpeg.
const ENVIRONMENT: [&str; 2] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// Where videos are decoded, and what they may cost.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Decoding")]
pub(super) struct DecoderArgs {
    /// Decode in this process, not in one of its own that is locked in
    #[arg(long, global = true, env = "LONGSIGHT_IN_PROCESS_DECODER", value_parser = clap::builder::FalseyValueParser::new())]
    in_process_decoder: bool,
    /// The most memory of a decoder's process (8G, 512M) [default: 4G]
    #[arg(long, global = true, value_name = "BYTES", value_parser = parse_memory, env = "LONGSIGHT_DECODER_MEMORY")]
    decoder_memory: Option<u64>,
    /// Give a file up whose decoding has not moved for so long [default: 60 s]
    #[arg(long, global = true, value_name = "T", value_parser = parse_stall, env = "LONGSIGHT_DECODER_STALL")]
    decoder_stall: Option<f64>,
    /// A program that decodes in place of this one
    #[arg(long, global = true, hide = true, value_name = "PROGRAM", env = "LONGSIGHT_DECODER")]
    decoder: Option<PathBuf>,
}

impl DecoderArgs {
    /// What a video may cost, and where it is decoded.
    pub(super) fn limits(&self) -> Limits {
        let usual = Limits::default();
        let stall = self.decoder_stall.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Limits {
            open_timeout: stall.map_or(usual.open_timeout, |stall| stall.min(usual.open_timeout)),
            stall_timeout: stall.unwrap_or(usual.stall_timeout),
            apart: self.is_apart().then(|| Arc::new(self.program())),
            ..usual
        }
    }

    /// Whether decoding has a process of its own.
    pub(super) fn is_apart(&self) -> bool {
        !self.in_process_decoder
    }

    /// The program that decodes.
    pub(super) fn program(&self) -> Program {
        // On Linux the file that is running, even when an upgrade has put another in its place; elsewhere, where the system
        // does not say which file this is, its name is looked up as a shell would.
        let running = || Some(PathBuf::from("/proc/self/exe")).filter(|path| path.exists());
        let itself = || running().or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| "longsight".into());
        let known = |name: &str| Some((name.into(), std::env::var_os(name)?));
        Program {
            path: self.decoder.clone().unwrap_or_else(itself),
            arguments: vec![DECODER.into()],
            environment: ENVIRONMENT.into_iter().filter_map(known).collect(),
            memory: self.decoder_memory.unwrap_or(MEMORY),
            fork_server: match self.decoder {
                None => ForkServer::by(vec![FORK_SERVER.into()]),
                Some(_) => ForkServer::default(),
            },
        }
    }

    /// The flags as they would be written.
    pub(super) fn flags(&self) -> Vec<String> {
        let place = self.in_process_decoder.then(|| "--in-process-decoder".to_owned());
        let memory = self.decoder_memory.map(|bytes| format!("--decoder-memory={bytes}"));
        let stall = self.decoder_stall.map(|seconds| format!("--decoder-stall={seconds}"));
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let decoder = self.decoder.as_ref().map(|path| format!("--decoder={}", absolute(path).display()));
        [place, memory, stall, decoder].into_iter().flatten().collect()
    }
}

fn parse_memory(text: &str) -> Result<u64, String> {
    match recipe::parse_bytes(text)? {
        bytes if bytes < LEAST_MEMORY => Err(format!("no decoder runs in less than {}M", LEAST_MEMORY >> 20)),
        bytes => Ok(bytes),
    }
}

fn parse_stall(text: &str) -> Result<f64, String> {
    match parse_time(text)? {
        seconds if seconds > 0.0 => Ok(seconds),
        _ => Err("a decoder that may not take any time gives no frame; write a time above 0".to_owned()),
    }
}

/// Whether this process was started to decode.
pub(super) fn is_wanted() -> bool {
    is_called(DECODER) || is_called(FORK_SERVER)
}

fn is_called(name: &str) -> bool {
    std::env::args_os().nth(1).as_deref() == Some(OsStr::new(name))
}

/// Decodes for the process at the other end of stdin and stdout.
pub(super) fn serve() -> ExitCode {
    if is_called(FORK_SERVER) && !apart::fork_server() {
        return ExitCode::SUCCESS;
    }
    // As it is, without a buffer that looks for line ends in pictures.
    if let Ok(stdout) = std::io::stdout().as_fd().try_clone_to_owned() {
        apart::serve(std::io::stdin(), File::from(stdout), &scenes::serve, || std::process::exit(0));
    }
    ExitCode::from(Kind::Internal.exit_code())
}
