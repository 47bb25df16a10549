"""Asks longsight and Hugging Face transformers the same questions about the same files, and counts the equal greedy answers.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.23.0 av
    python tests/peers/answers_transformers.py target/release/longsight target/release/world models/longsight-tiny [--clips 20] [--each 5]

The files are held-out clips of the generated world. transformers gets the frames that `longsight frames` lists, decoded by PyAV at
their own size, so that resizing, patches, prompt, model and decoding of text are all its own. f32 on both sides, and longsight without its closer looks, which transformers has not.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import av
import torch
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration
from transformers.video_utils import VideoMetadata

RATE = 12


def told(command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def pictures(path, wanted):
    """The frames with these numbers, as one tensor."""
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.stack([torch.from_numpy(shown[n]) for n in wanted]).permute(0, 3, 1, 2)


@torch.no_grad()
def transformers_says(model, processor, frames, numbers, text):
    message = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": text}]}]
    prompt = processor.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    facts = VideoMetadata(total_num_frames=numbers[-1] + 1, fps=RATE, frames_indices=numbers, height=frames.shape[2],
                          width=frames.shape[3], duration=(numbers[-1] + 1) / RATE, video_backend="none")
    batch = processor(text=[prompt], videos=[frames], video_metadata=[facts], do_sample_frames=False, return_tensors="pt")
    ids = model.generate(**batch, max_new_tokens=64, do_sample=False)[0, batch["input_ids"].shape[1]:]
    return processor.tokenizer.decode(ids, skip_special_tokens=True).strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("longsight")
    parser.add_argument("world")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--each", type=int, default=5, help="questions about each clip")
    parser.add_argument("--seed", type=int, default=3_000_000)
    args = parser.parse_args()
    model = Qwen3VLForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(args.model)
    equal, asked = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "clip.mp4"
        for seed in range(args.seed, args.seed + args.clips):
            told([args.world, "clip", "--seed", seed, "--fps", RATE, "--out", path, "--questions", args.each])
            questions = [q for q in json.loads(path.with_suffix(".json").read_text())["questions"] if not q["choices"]]
            card = processor.video_processor
            listed = json.loads(told([args.longsight, "frames", path, "--json", "-q", "--fps", card.fps, "--max-frames", card.max_frames]))
            numbers = [frame["index"] for frame in listed["frames"]]
            frames = pictures(path, numbers)
            texts = [q["text"] for q in questions]
            lines = told([args.longsight, "ask", path, *texts, "--no-check", "--model", args.model, "--json", "-q"]).splitlines()
            for text, line in zip(texts, lines, strict=True):
                ours, theirs = json.loads(line)["answer"], transformers_says(model, processor, frames, numbers, text)
                asked, equal = asked + 1, equal + (ours == theirs)
                if ours != theirs:
                    print(f"seed {seed}: {text}\n  longsight:    {ours}\n  transformers: {theirs}")
    print(f"{equal} of {asked} answers are equal ({100 * equal / max(1, asked):.1f} %)")


if __name__ == "__main__":
    main()
