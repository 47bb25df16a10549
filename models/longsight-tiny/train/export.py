"""A training checkpoint -> a Hugging Face checkpoint folder, held against transformers before it is kept.

Use: export.py RUN/last.pt tokenizer.json OUT_DIR [--check HELD_OUT_DIR ...]

Weights are stored as f16. `--check` loads OUT_DIR with transformers (pip install transformers==5.23.0) and compares its logits with
model.py's, in f32, for clips of HELD_OUT_DIR.
"""
import argparse, json, pathlib
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from data import FARTHEST
from model import CONFIG, PATCH, MERGE, TEMPORAL, Tiny

FRAME = 96 * 96  # pixels of a frame, whatever its shape: nine visual tokens for two frames
MOST_FRAMES = 1800  # half an hour at a frame a second; the longest clips of the training have 400 and weigh as much as 40,000
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
            "{% if c['type'] == 'video' %}<|video_pad|>{% elif c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
            "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def configuration(tok):
    vision, text, one = CONFIG["vision"], dict(CONFIG["text"]), tok.token_to_id
    rope = dict(rope_type="default", rope_theta=text.pop("rope_theta"), mrope_section=text.pop("mrope_section"), mrope_interleaved=True)
    return dict(
        architectures=["Qwen3VLForConditionalGeneration"], model_type="qwen3_vl", dtype="float16", tie_word_embeddings=True,
        image_token_id=one("<|image_pad|>"), video_token_id=one("<|video_pad|>"), vision_start_token_id=one("<|vision_start|>"),
        vision_end_token_id=one("<|vision_end|>"), eos_token_id=one("<|im_end|>"), pad_token_id=one("<|endoftext|>"),
        text_config=dict(text, model_type="qwen3_vl_text", hidden_act="silu", attention_bias=False, attention_dropout=0.0,
                         max_position_embeddings=FARTHEST, vocab_size=tok.get_vocab_size(), tie_word_embeddings=True, rope_parameters=rope),
        vision_config=dict(vision, model_type="qwen3_vl_vision", hidden_act="gelu_pytorch_tanh", in_channels=3, patch_size=PATCH,
                           spatial_merge_size=MERGE, temporal_patch_size=TEMPORAL, rope_parameters=dict(rope_type="axial", rope_theta=10000.0)))


def processor():
    pixels = dict(do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3,
                  rescale_factor=1 / 255, resample=3, patch_size=PATCH, merge_size=MERGE, temporal_patch_size=TEMPORAL)
    # The pixels of all frames together may be many, but no frame has more than FRAME: `max_video_tokens` counts them a frame.
    return dict(processor_class="Qwen3VLProcessor",
                image_processor=dict(pixels, image_processor_type="Qwen2VLImageProcessor", size=dict(shortest_edge=FRAME // 2, longest_edge=FRAME)),
                video_processor=dict(pixels, video_processor_type="Qwen3VLVideoProcessor", fps=2, min_frames=2, max_frames=MOST_FRAMES, do_sample_frames=True,
                                     cap_pixels_per_frame=True, max_video_tokens=FRAME // 1024, return_metadata=False,
                                     size=dict(shortest_edge=FRAME // 2, longest_edge=FRAME * 65536)))


def export(state, tok, out):
    out.mkdir(parents=True, exist_ok=True)
    write = lambda name, value: (out / name).write_text(json.dumps(value, indent=2) + "\n")
    save_file({k: v.to(torch.float16).contiguous() for k, v in state.items()}, out / "model.safetensors", metadata={"format": "pt"})
    tok.save(str(out / "tokenizer.json"))
    end, pad = "<|im_end|>", "<|endoftext|>"
    write("config.json", configuration(tok))
    write("processor_config.json", processor())
    write("generation_config.json", dict(eos_token_id=tok.token_to_id(end), pad_token_id=tok.token_to_id(pad), do_sample=False))
    write("tokenizer_config.json", dict(tokenizer_class="Qwen2Tokenizer", eos_token=end, pad_token=pad, model_max_length=FARTHEST, processor_class="Qwen3VLProcessor"))
    (out / "chat_template.jinja").write_text(TEMPLATE)


@torch.no_grad()
def check(out, held_out):
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration
    from transformers.video_utils import VideoMetadata
    from data import Clips, Packer, pack
    tok = Tokenizer.from_file(str(out / "tokenizer.json"))
    ours, packer, clips = Tiny(tok.get_vocab_size()).eval(), Packer(tok), Clips(held_out)
    ours.load_state_dict({k: v.float() for k, v in load_file(out / "model.safetensors").items()})
    theirs = Qwen3VLForConditionalGeneration.from_pretrained(out, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(out)
    worst = 0.0
    for row in clips.rows[:4]:
        question = row["questions"][0]
        text = processor.apply_chat_template([{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": question["prompt"]}]}], tokenize=False, add_generation_prompt=True)
        frames = torch.from_numpy(clips.frames[row["offset"]:row["offset"] + row["frames"]].copy()).permute(0, 3, 1, 2)
        width, height = row["size"]
        meta = VideoMetadata(total_num_frames=row["frames"], fps=2.0, frames_indices=list(range(row["frames"])), height=height, width=width, duration=row["frames"] / 2, video_backend="none")
        batch = processor(text=[text], videos=[frames], video_metadata=[meta], do_sample_frames=False, return_tensors="pt")
        assert row["times"][1] == 0.5, "the check replays clips at two frames a second"
        packed = pack([packer.row(clips, row, [dict(question, answer="")])])
        n = batch["input_ids"].shape[1]
        assert packed["ids"][0, :n].tolist() == batch["input_ids"][0].tolist(), "token ids differ"
        packed["visual"] = packed["ids"] == packer.pad
        mine, reference = ours.logits(ours(packed)[0])[0, :n], theirs(**batch).logits[0]
        worst = max(worst, ((mine - reference).norm() / reference.norm()).item())
    print("largest relative difference of logits to transformers:", worst)
    assert worst < 1e-4


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("checkpoint", type=pathlib.Path)
    ap.add_argument("tokenizer")
    ap.add_argument("out", type=pathlib.Path)
    ap.add_argument("--mean", type=pathlib.Path, nargs="+", default=[], help="other checkpoints of the same training: the mean of all is exported")
    ap.add_argument("--check", type=pathlib.Path, nargs="+", default=[])
    a = ap.parse_args()
    states = [torch.load(one)["model"] for one in [a.checkpoint, *a.mean]]
    mean = {k: sum(state[k].float() for state in states) / len(states) for k in states[0]}
    export(mean, Tokenizer.from_file(a.tokenizer), a.out)
    for folder in a.check:
        check(a.out, folder)


if __name__ == "__main__":
    main()
