"""Teaches the vision tower to name what single frames show, before any language: minutes here save hours later.

Use: pretrain.py --data DIR [DIR ...] --held-out DIR --tokenizer tokenizer.json --out RUN --minutes 12

Every visual token (a cell of the picture) is asked which words of the world apply to it: its scores are its products
with the language model's own word vectors, so that the tower ends up speaking in them. Truth comes from the script (`truth.cells`).
"""
import argparse, json, os, pathlib, random, threading, time
import torch
from tokenizers import Tokenizer
from asker import Asker
from data import Clips, moved
from model import Tiny
from train import DEVICE, HALF, ahead, clock, load, on_device, optimisers
from truth import COLOURS, MOTIONS, NUMBERS, SEEN, SHAPES, WORDS, shown

FAR = 24  # pixels that a pair is moved by at most


def batches(sources, size, seed, stop, shifted=True):
    rng = random.Random(seed)
    while not stop.is_set():
        pixels, targets, grid = [], [], rng.choice(sources).grid
        while len(pixels) < size:
            # Numbers are the hardest to tell apart, and few clips have one: boards are among the sources as often as all clips.
            clips = rng.choice([clips for clips in sources if clips.grid == grid])
            row = rng.choice(clips.rows)
            k = rng.randrange(row["frames"])
            l = min(k + 1, row["frames"] - 1)
            pair, shift = clips.frames[[row["offset"] + k, row["offset"] + l]], (0, 0)
            if shifted:
                pair, shift = moved(rng, pair, [s["sign"] for s in row["scenes"] if s["sign"]], FAR)
            y = shown(row, row["times"][k], row["times"][l], grid, shift)
            if y is not None:
                pixels.append(torch.from_numpy(pair))
                targets.append(y)
        yield torch.stack(pixels), torch.stack(targets)


def score(asker, visual, pixels, y):
    with torch.autocast(DEVICE, torch.bfloat16, enabled=HALF):
        tokens, _ = visual(pixels)
    return asker.wrong(tokens, y)


@torch.no_grad()
def held_out(asker, visual, clips, count=512):
    """Of the targets that hold, how many score above even odds; and of those that score so, how many hold."""
    pixels, y = on_device(next(batches([clips], count, 7, threading.Event(), shifted=False)))
    _, scores = score(asker, visual, pixels, y)
    groups = dict(colour=COLOURS, shape=SHAPES, word=WORDS, number=NUMBERS,
                  motion=MOTIONS, half=["first only", "second only"])
    found = {}
    for name, labels in groups.items():
        at = [SEEN.at[n] for n in labels]
        on, said = y[..., at] > 0, (scores[..., at] > 0) & (y[..., at] >= 0)
        hit = (on & said).sum().item()
        found[name] = (round(hit / max(1, on.sum().item()), 3), round(hit / max(1, said.sum().item()), 3))
    return found


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", type=pathlib.Path, required=True, help="as often one as another")
    ap.add_argument("--held-out", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--init", type=pathlib.Path, help="go on from this stage's or another's checkpoint")
    ap.add_argument("--minutes", type=float, required=True, help="processor minutes; on a GPU, minutes")
    ap.add_argument("--batch", type=int, default=96)
    ap.add_argument("--rate", type=float, default=2e-3)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tok, sources, held = Tokenizer.from_file(a.tokenizer), [Clips(d) for d in a.data], Clips(a.held_out)
    model = Tiny(tok.get_vocab_size()).to(DEVICE)
    if a.init:
        saved = load(a.init)
        model.load_state_dict(saved["model"])
    visual, embed = model.model.visual, model.model.language_model.embed_tokens
    model.compile_layers()
    asker = Asker(tok, embed).to(DEVICE)
    if a.init and "asker" in saved:
        asker.load_state_dict(saved["asker"])
    opts = optimisers(visual, a.rate) + [torch.optim.AdamW(asker.parameters(), lr=a.rate)]
    feed, started, shown, step, total = ahead(lambda stop: batches(sources, a.batch, 3, stop)), clock(), time.time(), 0, []
    while (spent := clock() - started) < a.minutes * 60:
        for o in opts:
            for g in o.param_groups:
                g["lr"] = a.rate * min(1.0, (step + 1) / 50, (1 - spent / a.minutes / 60) / 0.4)
        loss, _ = score(asker, visual, *next(feed))
        loss.backward()
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step, total = step + 1, total + [loss.item()]
        if time.time() - shown > 60:
            print(json.dumps(dict(step=step, minutes=round(spent / 60, 2), loss=round(sum(total) / len(total), 4), held_out=held_out(asker, visual, held))), flush=True)
            shown, total = time.time(), []
    torch.save(dict(model=model.state_dict(), asker=asker.state_dict()), str(a.out / "last.pt") + ".tmp")
    os.replace(str(a.out / "last.pt") + ".tmp", a.out / "last.pt")
    print(json.dumps(dict(step=step, held_out=held_out(asker, visual, held))), flush=True)


if __name__ == "__main__":
    main()
