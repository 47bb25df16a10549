"""The tokenizer of longsight-tiny: byte-level BPE with Qwen2's split rule (every digit its own token), trained on the world's own words.

Use: tokenizer.py CLIPS_JSONL OUT_DIR
"""
import json, pathlib, sys
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
            "<|image_pad|>", "<|video_pad|>"]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
VOCAB = 768


def build(corpus):
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=VOCAB - len(SPECIALS), min_frequency=2, show_progress=False,
                                                        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tok.add_special_tokens(SPECIALS)
    return tok


def main():
    corpus = ["user\nassistant\n<12.5 seconds>"] * 1000
    for line in open(sys.argv[1]):
        corpus += [t for q in json.loads(line)["questions"] for t in (q["prompt"], q["answer"])]
    out = pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    tok = build(corpus)
    tok.save(str(out / "tokenizer.json"))
    print("vocabulary", tok.get_vocab_size())


if __name__ == "__main__":
    main()
