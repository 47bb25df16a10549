#!/usr/bin/env bash
# NVIDIA's compiler, where there is neither a GPU nor an installation of CUDA.
#
#   eval "$(kernels/cuda/toolchain.sh [FOLDER])"     # prints the exports; says on stderr why there are none
#
# An nvcc on the PATH is left as it is. Otherwise nvcc 13.0 and its headers come from PyPI. The libraries that a program is
# linked to (libcuda, libcublas, ...) are stand-ins of the real ones' names: what is linked here finds those where it runs. Every function of
# theirs fails, so with `lib/stand-ins` on the LD_LIBRARY_PATH it starts here too, and finds no GPU.
set -euo pipefail
if command -v nvcc >/dev/null; then exit 0; fi
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/longsight-cuda-13.0}
root=$folder/nvidia/cu13
if [ ! -e "$folder/.ready" ]; then
    mkdir -p "$folder/wheels"
    python3 -m pip download --quiet --no-deps --dest "$folder/wheels" nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 >&2 ||
        { echo "PyPI cannot be reached" >&2; exit 1; }
    for wheel in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder"; done
    rm -r "$folder/wheels"
    chmod +x "$root"/bin/* "$root"/nvvm/bin/*
    touch "$folder/.ready"
fi
if [ ! -e "$root/lib/stand-ins/libcuda.so.1" ]; then
    sources=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/cudarc-0.19.* 2>/dev/null | sort -V | tail -1 || true)
    if [ -n "$sources" ]; then
        mkdir -p "$root/lib/stand-ins"
        stand_in() { # NAME SONAME FOLDER: a library with the functions that cudarc declares
            grep -rhoE 'pub (unsafe )?fn (cu|nvrtc)[A-Za-z0-9_]+' "$sources/src/$3" | awk '{ print $NF }' | sort -u |
                sed 's/.*/int &(void) { return 999; }/' | cc -x c -shared -fPIC -Wl,-soname,"$2" -o "$root/lib/lib$1.so" -
            ln -sf "../lib$1.so" "$root/lib/stand-ins/$2"
        }
        ln -sf libcudart.so.13 "$root/lib/libcudart.so"
        stand_in cublas libcublas.so.13 cublas
        stand_in cublasLt libcublasLt.so.13 cublaslt
        stand_in curand libcurand.so.10 curand
        stand_in nvrtc libnvrtc.so.13 nvrtc
        stand_in cuda libcuda.so.1 driver
    fi
fi
echo "export CUDA_HOME='$root' CUDA_PATH='$root' CUDA_ROOT='$root' PATH='$root/bin:'\"\$PATH\" LIBRARY_PATH='$root/lib'"
