//! Under the feature `cuda`: compiles the kernels for NVIDIA GPUs, one file of code for all architectures for each source.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Relative to this folder; the emulation in the tests compiles the same.
const SOURCES: &[&str] = &include!("cuda/sources.in");

/// Code for Ampere and Hopper, and intermediate code that drivers compile for what comes later.
const TARGETS: [&str; 2] = ["arch=compute_80,code=[sm_80,compute_80]", "arch=compute_90a,code=sm_90a"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    for watched in ["cuda/device.h", "cuda/sources.in", "attention/tile.cuh"].iter().chain(SOURCES) {
        println!("cargo::rerun-if-changed={watched}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names an output folder"));
    let compiler = std::env::var_os("CUDA_HOME").map_or("nvcc".into(), |home| Path::new(&home).join("bin/nvcc"));
    let mut table = String::from("[\n");
    for source in SOURCES {
        let binary = out.join(source.replace('/', "-")).with_extension("fatbin");
        let status = Command::new(&compiler)
            .args(["-std=c++17", "-O3", "-fatbin", "-I", "cuda", "-o"])
            .arg(&binary)
            .arg(source)
            .args(TARGETS.iter().flat_map(|target| ["-gencode", target]))
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("nvcc does not compile kernels/{source}: {status}"),
            Err(error) => panic!(
                "the feature `cuda` wants NVIDIA's compiler, and {} does not run ({error}): \
                 `make check-cuda` shows how to build without an installation of CUDA",
                compiler.display()
            ),
        }
        table += &format!("    include_bytes!({:?}),\n", binary.display().to_string());
    }
    std::fs::write(out.join("fatbins.in"), table + "]\n").expect("the output folder can be written");
}
