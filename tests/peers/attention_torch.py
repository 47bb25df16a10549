"""Dense causal attention: `longsight bench attention` and PyTorch's scaled_dot_product_attention, in turns in one run.

    pip install torch==2.11.0
    python tests/peers/attention_torch.py target/release/longsight [--tokens 2048 8192] [--runs 3]

The same shapes and threads, the least of the runs on both sides; grouped heads are repeated for PyTorch before the clock
starts, which is what transformers does. The check before any timing is in the bench (against its f64 reference). A ratio above 1
means that longsight is faster.
"""

import argparse
import json
import subprocess
import time

import torch

HEADS = {"qwen3-vl-2b": (16, 8, 128), "qwen2.5-vl-7b": (28, 4, 128), "longsight-tiny": (4, 2, 64)}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def theirs(name, tokens, dtype):
    heads, kv_heads, dim = HEADS[name]
    q = torch.randn(1, heads, tokens, dim, dtype=dtype)
    k, v = (torch.randn(1, kv_heads, tokens, dim, dtype=dtype).repeat_interleave(heads // kv_heads, 1) for _ in "kv")
    started = time.perf_counter()
    torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longsight")
    parser.add_argument("--heads", nargs="+", default=["qwen3-vl-2b", "longsight-tiny"], choices=HEADS)
    parser.add_argument("--tokens", nargs="+", type=int, default=[2048, 8192])
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ours, torchs = {}, {}
    for _ in range(args.runs):
        command = [args.longsight, "bench", "attention", "--json", "--attention", "dense", "--runs", "1", "--heads", *args.heads, "--tokens", *map(str, args.tokens)]
        for timed in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["timed"]:
            key = timed["heads"], timed["tokens"], timed["precision"]
            ours[key] = min(timed["seconds"], ours.get(key, float("inf")))
            torchs[key] = min(theirs(*key[:2], DTYPES[key[2]]), torchs.get(key, float("inf")))
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for (heads, tokens, precision), seconds in ours.items():
        their = torchs[heads, tokens, precision]
        faster = min(torchs[heads, tokens, dtype] for dtype in DTYPES)
        print(f"{heads:>14} {tokens:>7} tokens {precision:>4}: longsight {seconds:.4f} s, PyTorch {their:.4f} s, ratio {their / seconds:.2f}; "
              f"against PyTorch's faster dtype {faster / seconds:.2f}")


if __name__ == "__main__":
    main()
