#!/usr/bin/env bash
# Compiles every CUDA kernel for sm_80 and sm_90a, on a machine with no GPU, and holds the registers they spill to what is known.
#
#   kernels/cuda/check.sh [--required]      # without it, a missing compiler is only said
set -euo pipefail
cd "$(dirname "$0")/.."
if ! exports=$(cuda/toolchain.sh); then
    echo "skipped: the CUDA kernels are not compiled, as there is no nvcc"
    [ "${1:-}" != --required ]
    exit
fi
eval "$exports"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
for source in $(tr -d '[],"' < cuda/sources.in); do
    for architecture in sm_80 sm_90a; do
        nvcc -std=c++17 -O3 -arch=$architecture -I cuda -cubin -Xptxas -v -Werror all-warnings "$source" -o "$work/kernels.cubin" 2> "$work/log" ||
            { cat "$work/log" >&2; exit 1; }
        awk -v at="kernels/$source $architecture" '
            /Compiling entry function/ { split($0, part, "\047"); name = part[2]; kernels++ }
            /spill stores/ { if ($5 > most) { most = $5; worst = name } }
            END { printf "%s: %d kernels, %s\n", at, kernels, most ? "at most " most " bytes of registers spilt (" worst ")" : "nothing spilt" }
        ' "$work/log"
    done
done
