#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU: is it right, and how fast is it beside PyTorch?

    python3 kernels/bench_gpu.py [--tokens 32768 131072 524288 1048576] [--record kernels/record/h200.json]

First the kernels' test-suite, which under the feature `cuda` runs on the GPU as well; if it fails, nothing is timed. Then, in turns at
each length, attention_cuda (dense, a grid, decoding one token) and PyTorch's scaled_dot_product_attention with each of its backends, in
bf16, at the head shapes of Qwen2.5-VL-7B and Qwen3-VL-8B. Wants cargo, nvcc and PyTorch.

Never yet run: no machine with a GPU was at hand.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

HEADS = {"qwen2.5-vl-7b": (28, 4, 128), "qwen3-vl-8b": (32, 8, 128)}
BACKENDS = {"torch flash": SDPBackend.FLASH_ATTENTION, "torch cudnn": SDPBackend.CUDNN_ATTENTION}
RUNS = 5
CARGO = ["cargo", "--quiet"]
KERNELS = ["--release", "-p", "longsight-kernels", "--features", "cuda"]
ROOT = pathlib.Path(__file__).resolve().parent.parent


def ours(tokens):
    """Lines of attention_cuda."""
    command = [*CARGO, "run", *KERNELS, "--example", "attention_cuda", "--", str(tokens)]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def theirs(name, tokens):
    """Dense attention by each backend that takes the shape and fits into memory."""
    heads, kv_heads, dim = HEADS[name]
    make = lambda count: torch.randn(1, count, tokens, dim, device="cuda", dtype=torch.bfloat16)
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    for label, backend in BACKENDS.items():
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
    args = parser.parse_args()
    subprocess.run([*CARGO, "test", *KERNELS, "--lib"], cwd=ROOT, check=True)
    timed = []
    for tokens in args.tokens:
        own = ours(tokens)
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
