"""A whole prompt through a language model of random weights: `longsight bench prefill` and Hugging Face transformers, in turns.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.23.0
    python tests/peers/prefill_transformers.py target/release/longsight models/longsight-tiny [--layers 4] [--tokens 2048 8192] [--runs 2]

Writes a checkpoint of Qwen3-VL-2B's language model with `--layers` of its 28 layers and a vision tower of one layer, loads it on both
sides, and times dense prefill to the last token's scores, the least of the runs. transformers runs with its scaled_dot_product_attention in
f32 and bf16, longsight in f32 and bf16; the first check is that both give the same scores for the same ids in f32 (`model verify` holds
the family to transformers; here the bench's own check is that chunks do not change the scores). A ratio above 1 means that longsight
is faster than transformers in its faster dtype.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

TEXT = dict(hidden_size=2048, intermediate_size=6144, num_attention_heads=16, num_key_value_heads=8, head_dim=128, vocab_size=151936,
            rope_parameters=dict(rope_type="default", rope_theta=5000000.0, mrope_section=[24, 20, 20], mrope_interleaved=True),
            max_position_embeddings=262144, tie_word_embeddings=True)
VISION = dict(depth=1, hidden_size=1024, intermediate_size=4096, num_heads=16, out_hidden_size=2048, deepstack_visual_indexes=[],
              num_position_embeddings=2304)


def checkpoint(folder, layers, like):
    torch.manual_seed(0)
    config = Qwen3VLConfig(text_config=dict(TEXT, num_hidden_layers=layers), vision_config=VISION, tie_word_embeddings=True)
    model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(pathlib.Path(like) / name, folder)
    return model


@torch.no_grad()
def theirs(model, tokens):
    ids = torch.randint(0, 1000, (1, tokens))
    started = time.perf_counter()
    model(input_ids=ids, logits_to_keep=1, use_cache=True)
    return time.perf_counter() - started


def ours(binary, folder, tokens, dtype):
    command = [binary, "bench", "prefill", "--json", "--runs", "1", "--prefill", "dense", "--dtype", dtype, "--model", folder, "--tokens", *map(str, tokens)]
    report = json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout)
    return {timed["tokens"]: timed["seconds"] for timed in report["timed"]}, report["peak_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longsight")
    parser.add_argument("like", help="a checkpoint whose processor files are borrowed")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", nargs="+", type=int, default=[2048, 8192])
    parser.add_argument("--runs", type=int, default=2)
    args = parser.parse_args()
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        model = checkpoint(folder, args.layers, args.like).eval()
        for _ in range(args.runs):
            for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
                mine, peak = ours(args.longsight, folder, args.tokens, name)
                model = model.to(dtype)
                for tokens in args.tokens:
                    for who, seconds in (("longsight", mine[tokens]), ("transformers", theirs(model, tokens))):
                        best[who, name, tokens] = min(seconds, best.get((who, name, tokens), float("inf")))
                print(f"longsight {name}: peak {peak / 2**20:.0f} MiB", flush=True)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {args.layers} layers")
    for tokens in args.tokens:
        faster = min(best["transformers", name, tokens] for name in ("f32", "bf16"))
        for name in ("f32", "bf16"):
            mine, their = best["longsight", name, tokens], best["transformers", name, tokens]
            print(f"{tokens:>7} tokens {name:>4}: longsight {mine:.2f} s, transformers {their:.2f} s, ratio {their / mine:.2f}; "
                  f"against transformers' faster dtype {faster / mine:.2f}")


if __name__ == "__main__":
    main()
