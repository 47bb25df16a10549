"""Teaches the vision tower to name what single frames show, before any language: minutes here save hours later.

Use: pretrain.py --data DIR --tokenizer tokenizer.json --out RUN --minutes 12

Every visual token (a third of the picture each way) is asked which words of the world apply to it: its scores are its products
with the language model's own word vectors, so that the tower ends up speaking in them. Truth comes from the script: an
object's colour and shape hold for the cell of its centre; cells that it only touches are not asked.
"""
import argparse, json, os, pathlib, random, time
import torch
from torch import nn
from torch.nn import functional as F
from tokenizers import Tokenizer
from data import CELLS, Clips
from model import Tiny
from train import ahead, optimisers

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "white", "cyan"]
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring"]


FADE = 1.0  # no scene takes longer to come or go


def words_of(clips):
    return sorted({s["sign"]["text"] for r in clips.rows for s in r["scenes"] if s["sign"] and s["sign"]["text"].isalpha()})


def truth(row, a, b, index, width):
    """Targets [cells, words] (1, 0, or -1: not asked) of the pair of frames at times a and b."""
    y = torch.zeros(CELLS * CELLS, width)
    scenes = [s for s in row["scenes"] if s["span"][0] <= a and b < s["span"][1]]
    if not scenes:
        return None
    scene, mid = scenes[0], (a + b) / 2
    after = [s for s in row["scenes"] if s["span"][0] == scene["span"][1]]
    if scene["entrance"]["kind"] != "cut" and a - scene["span"][0] < FADE or after and after[0]["entrance"]["kind"] != "cut" and scene["span"][1] - b < FADE:
        return None
    for o in scene["objects"]:
        inside = o["span"][0] <= a and b < o["span"][1]
        touched = o["span"][0] <= b and a < o["span"][1]
        share = (mid - o["span"][0]) / (o["span"][1] - o["span"][0])
        x, z = (f + (t - f) * min(1, max(0, share)) for f, t in zip(o["from"], o["to"]))
        reach = o["diameter"] / 2
        for cell in range(CELLS * CELLS):
            r, c = divmod(cell, CELLS)
            dx = max(c / CELLS - x, 0, x - (c + 1) / CELLS)
            dz = max(r / CELLS - z, 0, z - (r + 1) / CELLS)
            if not touched or dx * dx + dz * dz > reach * reach:
                continue
            if inside and not o["repaint"] and c <= x * CELLS < c + 1 and r <= z * CELLS < r + 1:
                y[cell, index[o["colour"]]] = y[cell, index[o["shape"]]] = 1
            else:
                y[cell, :16] = torch.where(y[cell, :16] == 1, y[cell, :16], -1.0)
    sign = scene["sign"]
    if sign and sign["span"][0] <= b and a < sign["span"][1]:
        x, z = sign["centre"]
        cell = min(CELLS - 1, int(z * CELLS)) * CELLS + min(CELLS - 1, int(x * CELLS))
        if sign["span"][0] <= a and b < sign["span"][1]:
            y[:, 16:] = -1
            y[cell, 16:] = 0
            if sign["text"].isalpha():
                y[cell, index[sign["text"]]] = 1
            else:
                y[cell, index["tens" + sign["text"][0]]] = y[cell, index["ones" + sign["text"][1]]] = 1
        else:
            y[:, 16:] = -1
    return y


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--minutes", type=float, required=True)
    ap.add_argument("--batch", type=int, default=96)
    ap.add_argument("--rate", type=float, default=2e-3)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tok, clips = Tokenizer.from_file(a.tokenizer), Clips(a.data)
    signs = words_of(clips)
    names = COLOURS + SHAPES + signs + [f"tens{d}" for d in range(1, 10)] + [f"ones{d}" for d in range(10)]
    index = {n: i for i, n in enumerate(names)}
    ids = []  # the vector of a word in mid-sentence and of the same word at its beginning, both pulled towards what they name
    for n in COLOURS + SHAPES + signs:
        forms = [" " + n, n if n.isupper() else n.capitalize()]
        ids.append([tok.encode(f, add_special_tokens=False).ids[0] for f in forms])
    ids = torch.tensor(ids)
    model = Tiny(tok.get_vocab_size())
    digits, bias, gain = nn.Linear(256, 19), nn.Parameter(torch.full((len(ids),), -3.0)), nn.Parameter(torch.tensor(10.0))
    opts = optimisers(model.model.visual, a.rate)
    opts.append(torch.optim.AdamW([model.model.language_model.embed_tokens.weight, bias, gain, *digits.parameters()], lr=a.rate))

    def batches(stop):
        rng = random.Random(3)
        while not stop.is_set():
            pixels, targets = [], []
            while len(pixels) < a.batch:
                row = rng.choice(clips.rows)
                if row["frames"] < 2:
                    continue
                k = rng.randrange(row["frames"] - 1)
                y = truth(row, row["times"][k], row["times"][k + 1], index, len(names))
                if y is not None:
                    pixels.append(torch.from_numpy(clips.frames[row["offset"] + k:row["offset"] + k + 2].copy()))
                    targets.append(y)
            yield torch.stack(pixels), torch.stack(targets)

    feed, started, step, shown, shown_step, loss_sum, hits, asked = ahead(batches), time.time(), 0, time.time(), 0, 0.0, 0, 0
    while (spent := time.time() - started) < a.minutes * 60:
        pixels, y = next(feed)
        for o in opts:
            for g in o.param_groups:
                g["lr"] = a.rate * min(1.0, (step + 1) / 50, (1 - spent / a.minutes / 60) / 0.3)
        with torch.autocast("cpu", torch.bfloat16):
            tokens, deep = model.model.visual(pixels)
        tokens = tokens.float()
        vectors = F.normalize(model.model.language_model.embed_tokens.weight[ids], dim=-1)
        scores = torch.einsum("nch,wfh->ncwf", F.normalize(tokens, dim=-1), vectors).mean(-1) * gain + bias
        scores = torch.cat([scores, digits(tokens)], -1)
        weight = (y >= 0) * torch.where(y > 0, 4.0, 1.0)
        loss = (F.binary_cross_entropy_with_logits(scores, y.clamp(min=0), reduction="none") * weight).sum() / len(pixels) + 1e-3 * (tokens.norm(dim=-1) - 1).square().mean()
        loss.backward()
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        with torch.no_grad():
            on = y > 0
            hits, asked = hits + int((scores[on] > 0).sum()), asked + int(on.sum())
        step, loss_sum = step + 1, loss_sum + loss.item()
        if time.time() - shown > 30:
            print(json.dumps(dict(step=step, minutes=round(spent / 60, 2), loss=round(loss_sum / (step - shown_step), 4), recall=round(hits / max(1, asked), 3))), flush=True)
            hits, asked, loss_sum, shown, shown_step = 0, 0, 0.0, time.time(), step
    torch.save(dict(model=model.state_dict()), str(a.out / "last.pt") + ".tmp")
    os.replace(str(a.out / "last.pt") + ".tmp", a.out / "last.pt")


if __name__ == "__main__":
    main()
