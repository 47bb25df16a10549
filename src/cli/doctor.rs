//! `longsight doctor`: what will work on this machine.

use super::device::Device;
use super::{Context, failure::Result, model_dir, output, wait};
use crate::decode::apart::{self, Trespasses};
use crate::decode::{Confinement, Library, decoder_of, library};
use serde::Serialize;

/// Arguments of `longsight doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longsight doctor\n  longsight doctor --json")]
pub(super) struct Args {}

/// `longsight.doctor/1`
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Report {
    schema: &'static str,
    version: &'static str,
    ffmpeg: Ffmpeg,
    isolation: Isolation,
    cpu: Cpu,
    gpu: Gpu,
    memory: Memory,
    disk: Disk,
    model: Model,
    problems: Vec<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Ffmpeg {
    #[serde(flatten)]
    library: Library,
    decoders: Vec<Decoder>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Decoder {
    codec: &'static str,
    decoder: Option<String>,
}

/// What keeps a decoder from doing harm, tried out in a process like those that decode.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
struct Isolation {
    /// Whether videos are decoded in a process of their own
    process: bool,
    /// What holds it
    confinement: Confinement,
    /// What it could do all the same
    could: Trespasses,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Cpu {
    brand: String,
    threads: usize,
    features: Vec<&'static str>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Gpu {
    usable: bool,
    reason: String,
}

#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
struct Memory {
    total_bytes: u64,
    available_bytes: u64,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Disk {
    path: String,
    available_bytes: Option<u64>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Model {
    bundled: Option<String>,
    cache: String,
}

/// What people's files are made of, most frequent first.
const CODECS: [&str; 12] =
    ["h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "mjpeg", "prores", "vc1", "theora", "vvc"];

pub(super) fn run(_args: &Args, context: &Context) -> Result {
    let context = context.clone();
    let json = context.json;
    let report = wait::at_once(move || Ok(examine(&context)))?;
    if json {
        return output::json(&report);
    }
    print(&report);
    Ok(())
}

fn examine(context: &Context) -> Report {
    let mut problems = Vec::new();
    let decoders = CODECS.map(decoder_of);
    for (codec, decoder) in CODECS.iter().zip(&decoders) {
        if decoder.is_none() && *codec != "vvc" {
            problems.push(format!("FFmpeg has no decoder for {codec}; files of it will be refused"));
        }
    }
    let isolation = isolation(context, &mut problems);
    let system = System::read();
    let bundled = model_dir::resolve(model_dir::BUNDLED);
    if let Err(failure) = &bundled {
        problems.push(format!("{} ({})", failure.message, failure.hint));
    }
    let here = std::env::current_dir().unwrap_or_default();
    Report {
        schema: "longsight.doctor/1",
        version: env!("CARGO_PKG_VERSION"),
        ffmpeg: Ffmpeg {
            library: library(),
            decoders: CODECS.iter().zip(decoders).map(|(codec, decoder)| Decoder { codec, decoder }).collect(),
        },
        isolation,
        cpu: Cpu {
            brand: system.brand,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            features: cpu_features(),
        },
        gpu: gpu(),
        memory: system.memory,
        disk: Disk { available_bytes: free_space(&here), path: here.display().to_string() },
        model: Model {
            bundled: bundled.ok().map(|path| path.display().to_string()),
            cache: model_dir::hub_cache().display().to_string(),
        },
        problems,
    }
}

/// Locks a decoder in and has it try to get out.
fn isolation(context: &Context, problems: &mut Vec<String>) -> Isolation {
    let limits = context.decoder.limits();
    let Some(program) = &limits.apart else {
        problems.push("--in-process-decoder: a file that crashes its decoder ends the program".to_owned());
        return Isolation::default();
    };
    let target = std::env::temp_dir().join(format!("longsight-doctor-{}", std::process::id()));
    let examined = apart::examine(program, &limits, &target);
    // Neither is there if the decoder is held as it should be.
    let _ = std::fs::remove_file(&target).or_else(|_| std::fs::remove_dir(&target));
    match examined {
        Ok((confinement, could)) => {
            let names = trespasses(&could);
            if !names.is_empty() {
                problems.push(format!("a decoder could {}: this kernel does not hold it back", names.join(", ")));
            }
            Isolation { process: true, confinement, could }
        }
        Err(error) => {
            problems.push(format!("{error} ({})", error.hint()));
            Isolation::default()
        }
    }
}

/// What could be done, in words.
fn trespasses(could: &Trespasses) -> Vec<&'static str> {
    let all = [
        ("read other files", could.reads_files),
        ("write files", could.writes_files),
        ("use the network", could.opens_sockets),
        ("start programs", could.starts_programs),
        ("exceed its memory", could.exceeds_memory),
    ];
    all.into_iter().filter_map(|(name, could)| could.then_some(name)).collect()
}

/// Whether `--device cuda` will find a GPU.
fn gpu() -> Gpu {
    match Device::Cuda(0).open() {
        Ok(_) => Gpu { usable: true, reason: "--device cuda".to_owned() },
        Err(_) if !cfg!(feature = "cuda") => Gpu { usable: false, reason: "this build runs on the CPU".to_owned() },
        Err(failure) => Gpu { usable: false, reason: failure.message },
    }
}

/// What the system says of itself; empty where it says nothing.
#[derive(Default)]
struct System {
    brand: String,
    memory: Memory,
}

impl System {
    fn read() -> Self {
        let Ok(mut system) = sysinfo::System::new() else { return Self::default() };
        system.refresh_memory();
        system.refresh_cpu_all();
        Self {
            brand: system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default(),
            memory: Memory { total_bytes: system.total_memory(), available_bytes: system.available_memory() },
        }
    }
}

/// Free bytes on the disk that holds `path`: the disk with the longest mount point above it.
fn free_space(path: &std::path::Path) -> Option<u64> {
    let disks = sysinfo::Disks::new_with_refreshed_list().ok()?;
    let above = disks.iter().filter(|disk| path.starts_with(disk.mount_point()));
    above.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space)
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512_vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512_bf16", is_x86_feature_detected!("avx512bf16")),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// What holds a decoder, in words.
fn held(isolation: &Isolation) -> String {
    if !isolation.process {
        return "none: videos are decoded in this process".to_owned();
    }
    let Confinement { memory_bytes, landlock, seccomp } = isolation.confinement;
    let memory = memory_bytes.map(|bytes| format!("{} MiB of memory", bytes >> 20));
    let landlock = landlock.map(|version| format!("Landlock {version}"));
    let seccomp = seccomp.then(|| "seccomp".to_owned());
    let holds: Vec<String> = [memory, landlock, seccomp].into_iter().flatten().collect();
    let could = trespasses(&isolation.could);
    let tried = if could.is_empty() { "nothing that it tried".to_owned() } else { could.join(", ") };
    format!("a process for each video: {}; it could {tried}", holds.join(", "))
}

fn print(report: &Report) {
    const GIB: f64 = (1u64 << 30) as f64;
    let line = |name: &str, value: &str| output::text(&format!("{name:<10} {value}"));
    line("longsight", report.version);
    line(
        "ffmpeg",
        &format!("libavcodec {}, libavformat {}", report.ffmpeg.library.libavcodec, report.ffmpeg.library.libavformat),
    );
    let (able, unable): (Vec<&Decoder>, Vec<&Decoder>) =
        report.ffmpeg.decoders.iter().partition(|decoder| decoder.decoder.is_some());
    let names = |list: &[&Decoder]| list.iter().map(|decoder| decoder.codec).collect::<Vec<_>>().join(", ");
    line("decodes", &names(&able));
    if !unable.is_empty() {
        line("does not", &names(&unable));
    }
    line("isolation", &held(&report.isolation));
    line("cpu", &format!("{}, {} threads", report.cpu.brand, report.cpu.threads));
    line("features", &report.cpu.features.join(", "));
    line("gpu", &report.gpu.reason);
    let (free, total) = (report.memory.available_bytes as f64 / GIB, report.memory.total_bytes as f64 / GIB);
    line("memory", &format!("{free:.1} GiB free of {total:.1} GiB"));
    if let Some(bytes) = report.disk.available_bytes {
        line("disk", &format!("{:.1} GiB free at {}", bytes as f64 / GIB, report.disk.path));
    }
    line("model", report.model.bundled.as_deref().unwrap_or("longsight-tiny was not found"));
    line("hub cache", &report.model.cache);
    for problem in &report.problems {
        line("problem", problem);
    }
}
