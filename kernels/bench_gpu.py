#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU: is it right, and how fast is it beside PyTorch?

    python3 kernels/bench_gpu.py [--tokens 32768 131072 524288 1048576] [--record kernels/record/h200.json]

First the kernels' test-suite, which under the feature `cuda` runs on the GPU as well; if it fails, nothing is timed. Then, in turns at
each length, attention_cuda (dense, a grid, decoding one token) and PyTorch's scaled_dot_product_attention with each of its backends, in
bf16, at the head shapes of Qwen2.5-VL-7B and Qwen3-VL-8B. Wants cargo, nvcc and PyTorch; or, with what `--build DIR` has put into a folder
on a machine that has the first two, `--binaries DIR` and PyTorch alone.

Never yet run on a GPU: no machine with one was at hand.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import time

HEADS = {"qwen2.5-vl-7b": (28, 4, 128), "qwen3-vl-8b": (32, 8, 128)}
RUNS = 5
# What is carried: the kernels' suite, and the example that times attention.
SUITE, ATTENTION = "suite", "attention_cuda"
CARGO = ["cargo", "--quiet"]
KERNELS = ["--release", "-p", "longsight-kernels", "--features", "cuda"]
ROOT = pathlib.Path(__file__).resolve().parent.parent


def build(folder):
    """Puts the binaries into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in {SUITE: ["test", "--no-run", "--lib"], ATTENTION: ["build", "--example", ATTENTION]}.items():
        command = [*CARGO, *command[:1], *KERNELS, *command[1:], "--message-format", "json"]
        lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        built = [path for line in lines if (path := json.loads(line).get("executable"))]
        shutil.copy2(built[-1], folder / name)


def check(binaries):
    """The suite, on the GPU too."""
    command = [binaries / SUITE] if binaries else [*CARGO, "test", *KERNELS, "--lib"]
    # The emulated half of the suite compiles the sources anew, and they need not be here.
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"LONGSIGHT_TEST_GPU": "1"})


def ours(tokens, binaries):
    """Lines of attention_cuda."""
    command = [binaries / ATTENTION] if binaries else [*CARGO, "run", *KERNELS, "--example", ATTENTION, "--"]
    lines = subprocess.run([*command, str(tokens)], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def theirs(name, tokens):
    """Dense attention by each backend that takes the shape and fits into memory."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    backends = {"torch flash": SDPBackend.FLASH_ATTENTION, "torch cudnn": SDPBackend.CUDNN_ATTENTION}
    heads, kv_heads, dim = HEADS[name]
    make = lambda count: torch.randn(1, count, tokens, dim, device="cuda", dtype=torch.bfloat16)
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    for label, backend in backends.items():
        least = float("inf")
        try:
            with sdpa_kernel(backend):
                for _ in range(RUNS):
                    torch.cuda.synchronize()
                    begun = time.perf_counter()
                    scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                    torch.cuda.synchronize()
                    least = min(least, time.perf_counter() - begun)
        except RuntimeError as error:
            print(f"{label} at {tokens} tokens: {error}".splitlines()[0])
            continue
        flops = 2 * heads * dim * tokens * (tokens + 1) / least
        yield {"heads": name, "tokens": tokens, "attention": label, "seconds": least, "density": 1.0, "tflops": flops / 1e12}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[32_768, 131_072, 524_288, 1_048_576])
    parser.add_argument("--record", type=pathlib.Path, help="where to keep the numbers, as JSON")
    parser.add_argument("--build", type=pathlib.Path, metavar="DIR", help="only build, into a folder to be carried to such a machine")
    parser.add_argument("--binaries", type=pathlib.Path, metavar="DIR", help="a folder of such binaries, instead of building")
    args = parser.parse_args()
    if args.build:
        return build(args.build.resolve())
    import torch

    binaries = args.binaries and args.binaries.resolve()
    check(binaries)
    timed = []
    for tokens in args.tokens:
        own = ours(tokens, binaries)
        for name in HEADS:
            lines = [line for line in own if line["heads"] == name] + list(theirs(name, tokens))
            torch.cuda.empty_cache()
            dense = min((line["seconds"] for line in lines if line["attention"].startswith("torch")), default=None)
            for line in lines:
                timed.append(line)
                ratio = f"{dense / line['seconds']:8.2f} x PyTorch's best" if dense and line["attention"] != "decode" else ""
                print(f"{name:>14} {tokens:>8} tokens {line['attention']:>12} {line['seconds']:>10.4f} s"
                      f"  density {line['density']:.4f} {line['tflops']:>6.0f} TFLOP/s {ratio}")
    if args.record:
        record = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda,
                  "date": datetime.date.today().isoformat(), "timed": timed}
        args.record.parent.mkdir(parents=True, exist_ok=True)
        args.record.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
