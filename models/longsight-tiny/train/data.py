"""Clips as `world export` writes them -> batches, several questions behind one clip.

Row: <|im_start|>user\\n, then for every pair of frames `<12.5 seconds>` <|vision_start|> a token a cell <|vision_end|>, then each question
with its answer as a segment of its own: a segment sees the clip and itself, not the other segments, and starts at the
same position, so that each is trained exactly as it will be asked alone.
"""
import json, math, pathlib
import numpy as np
import torch
from truth import SEEN, STATES, THINGS, room, shown, stamp_digits, story
from wording import FOREIGN, foreign, reworded

CELL = 32  # pixels a side that a visual token stands for: 16 x 2


class Clips:
    """`grid`: rows and columns of visual tokens, the same for all clips of a folder."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.rows = [json.loads(line) for line in open(folder / "clips.jsonl")]
        width, height = self.rows[0]["size"]
        self.grid = height // CELL, width // CELL
        self.frames = np.memmap(folder / "frames.u8", np.uint8, "r").reshape(-1, height, width, 3)

    def pairs(self, row, stride=1):
        """Every `stride`-th frame as [patches, 2, height, width, 3], an odd last frame repeated, and the two times of each pair."""
        x = self.frames[row["offset"]:row["offset"] + row["frames"]:stride]
        times = row["times"][::stride]
        if len(x) % 2:
            x, times = np.concatenate([x, x[-1:]]), times + times[-1:]
        return x.reshape(-1, 2, *x.shape[1:]), list(zip(times[::2], times[1::2]))


def scene_of(row, n):
    """The `n`-th scene of a clip as a clip of its own, to be described; None where it has no frame."""
    scene, after = row["scenes"][n], row["scenes"][n + 1:n + 2]
    # What has begun to turn into the next scene shows both.
    end = scene["span"][1] - (after[0]["entrance"].get("seconds", 0) if after else 0)
    inside = [i for i, t in enumerate(row["times"]) if scene["span"][0] <= t < end]
    return inside and dict(row, offset=row["offset"] + inside[0], frames=len(inside), times=[row["times"][i] for i in inside],
                           scenes=[scene], questions=[row["captions"][n]])


def span_text(spans):
    return "From " + " and from ".join(f"{a:.1f} to {b:.1f}" for a, b in spans) + " seconds."


class Packer:
    def __init__(self, tokenizer):
        self.tok = tokenizer
        self.one = tokenizer.token_to_id
        self.start, self.end, self.pad = self.one("<|im_start|>"), self.one("<|im_end|>"), self.one("<|video_pad|>")
        self.head = self.encode("<|im_start|>user\n")
        self.turn = self.encode("<|im_end|>\n<|im_start|>assistant\n")
        self.cache = {}

    def encode(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def cached(self, text):
        if text not in self.cache:
            self.cache[text] = self.encode(text)
        return self.cache[text]

    def prefix(self, times, leaps, kept, grid):
        """Ids and positions of the clip, where the question's positions start, and where each pair's ids begin and end.

        Before pair n, and before the question, the positions leap by `leaps[n]`, as if that much had been seen in between. Of pair n
        the cells with `kept[n]` stay."""
        ids, pos, ranges = list(self.head), [], []
        pos += [(i, i, i) for i in range(len(ids))]
        at = len(ids)
        for n, t in enumerate(times):
            at += leaps.get(n, 0)
            begin = len(ids)
            stamp = self.cached(f"<{t:.1f} seconds><|vision_start|>")
            ids += stamp
            pos += [(at + i,) * 3 for i in range(len(stamp))]
            at += len(stamp)
            cells = [divmod(cell, grid[1]) for cell in range(grid[0] * grid[1]) if kept[n][cell]]
            ids += [self.pad] * len(cells)
            pos += [(at, at + r, at + c) for r, c in cells]
            at += max(grid)
            ids += self.cached("<|vision_end|>")
            pos.append((at,) * 3)
            at += 1
            ranges.append((begin, len(ids)))
        return ids, pos, at + leaps.get(len(times), 0), ranges

    def looked_up(self, q, say):
        """(index of the answer's token, head, from, to): where the answer is read off, in seconds. Head 0 looks for the pair in which
        something begins or ends, head 1 for those in which it shows."""
        if q["kind"] == "when" and q["spans"]:
            moments = [t for span in q["spans"] for t in span]
            return [(i, 0, moments[n], moments[n]) for i, n in self.numbers(say)]
        if q["kind"] == "order":  # whether the second thing named has been seen when the first begins
            return [(0, 0, *q["spans"][0 if q["answer"] == "Before." else 1][:1] * 2)]
        if q["kind"] == "after":
            return [(i, 0, *q["spans"][-1][:1] * 2) for i in range(len(say) - 1)]
        if q["kind"] == "scene":
            return [(i, 0, *q["spans"][0][:1] * 2) for i in range(len(say) - 1)]
        if q["kind"] in ("existence", "colour", "shape", "motion", "reading") and len(q["spans"]) == 1:
            start, end = q["spans"][0]
            return [(i, 1, start, start if ":" in q["answer"] else end - 0.1) for i in range(len(say) - 1)]
        return []

    def numbers(self, ids):
        """(index of the token, which number it belongs to) of the tokens that numbers are made of."""
        found, number, inside = [], -1, False
        for i, token in enumerate(self.tok.id_to_token(t) for t in ids):
            inside = token.isdigit() or inside and token == "."
            number += inside and not (found and found[-1][0] == i - 1)
            if inside:
                found.append((i, number))
        return found

    def row(self, clips, row, questions, rng=None, stride=1):
        """One clip with its questions; with `rng` it may stand late in a longer one (see `afar`)."""
        pixels, pairs = clips.pairs(row, stride)
        cells = clips.grid[0] * clips.grid[1]
        pixels, move = moved(rng, pixels, [s["sign"] for s in row["scenes"] if s["sign"]]) if rng else (pixels, (0, 0))
        shift, leaps = afar(rng, len(pairs)) if rng else (0.0, {})
        weights = diluted(rng, len(pairs)) if rng else [0.0] * len(pairs)
        times = [(a + b) / 2 + shift for a, b in pairs]
        kept = thinned(rng, pixels) if rng else np.ones((len(pairs), cells), bool)
        ids, pos, at, ranges = self.prefix(times, leaps, kept, clips.grid)
        seg, target, pointers = [0] * len(ids), [-100] * len(ids), []
        # Which pair each token belongs to: a question comes well after the last.
        pair, weight = [0] * len(self.head), [0.0] * len(self.head)
        for n, (begin, end) in enumerate(ranges):
            pair += [n] * (end - begin)
            weight += [weights[n]] * (end - begin)
        if shift:  # the times of choices would have to be moved too
            questions = [q for q in questions if q["kind"] != "choice" or "seconds" not in q["prompt"]]
        if rng:
            questions = [dict(q, prompt=reworded(rng, q["kind"], q["prompt"])) for q in questions]
            if rng.random() < FOREIGN:
                prompt, answer = foreign(rng)
                questions.append(dict(kind="absent", prompt=prompt, answer=answer, spans=[]))
        for n, q in enumerate(questions, 1):
            answer = q["answer"]
            if shift and q["kind"] == "when" and q["spans"]:
                answer = span_text([(a + shift, b + shift) for a, b in q["spans"]])
            ask = self.encode(q["prompt"]) + self.turn
            say = self.cached(answer) + [self.end]
            first = len(ids) + len(ask) - 1  # where the first token of the answer is decided
            pointers += [(first + i, head, ranges[pair_at(pairs, start)][0], ranges[pair_at(pairs, end)][1])
                         for i, head, start, end in self.looked_up(q, say)]
            ids += ask + say[:-1]
            target += [-100] * (len(ask) - 1) + say
            seg += [n] * (len(ask) + len(say) - 1)
            pos += [(at + i,) * 3 for i in range(len(ask) + len(say) - 1)]
        pair += [len(pairs) + LATELY] * (len(ids) - len(pair))
        weight += [0.0] * (len(ids) - len(weight))
        stamps = [stamp_digits(t) for t in times]
        told, counts = story(row, pairs)
        seen = [shown(row, a, b, clips.grid, move) for a, b in pairs]
        seen = [torch.full((cells, len(SEEN)), -1.0) if y is None else y for y in seen]
        return dict(ids=ids, pos=pos, seg=seg, pair=pair, weight=weight, target=target, pixels=pixels, kept=kept, story=told, counts=counts, seen=seen, pointers=pointers,
                    digits=[own + last for own, last in zip(stamps, stamps[:1] + stamps)])


def thinned(rng, pixels):
    """Which cells of each pair stay: all of them in most clips; in the others those that changed since the pair before, those with most
    to see and any others, in a mixture of the clip's own, at least one of each pair. So that a prompt from which tokens were left
    out (as compressors do) is nothing new."""
    pairs, _, height, width, _ = pixels.shape
    rows, columns = height // CELL, width // CELL
    if rng.random() < 0.6:
        return np.ones((pairs, rows * columns), bool)
    # [pairs, rows * columns, pixels of the cell]: every fourth each way is enough to tell
    cells = pixels.reshape(pairs, 2, rows, CELL, columns, CELL, 3)[:, :, :, ::4, :, ::4].transpose(0, 2, 4, 1, 3, 5, 6).reshape(pairs, rows * columns, -1).astype(np.float32)
    change = np.abs(np.diff(cells, axis=0, prepend=cells[:1])).mean(-1)
    detail, noise = cells.std(-1), np.random.default_rng(rng.getrandbits(32)).random(change.shape)
    score = sum(rng.random() ** 2 * part / (part.max() + 1e-6) for part in (change, detail, noise))
    count = max(pairs, round(rng.uniform(0.15, 0.8) * score.size))
    score[np.arange(pairs), score.argmax(1)] += 10
    return score >= np.partition(score.ravel(), -count)[-count]


DENSEST = 100  # how many times its length a clip may stand for: some 1,000 tokens for 100,000
LATELY = 2  # pairs from which on an earlier one counts as often as it stands for


def diluted(rng, pairs):
    """Logarithms of how many like it each pair of frames stands for, once it is past.

    Attention over the 100,000 tokens of a long video spreads over a hundred times the keys of a short one. A key whose score is
    raised by log(m) draws as much as m copies of it would: stretches of a clip are made to weigh as much as minutes of video, so that
    what matters has to stand out among them, at none of their cost."""
    if rng.random() < 0.4:
        return [0.0] * pairs
    most, weights = math.log(DENSEST) * rng.random(), []
    while len(weights) < pairs:
        weights += [most * rng.choice([0, 1])] * rng.randint(1, max(1, pairs // 3))
    return weights[:pairs]


LATEST = 7200.0  # seconds: the longest video that the model is to be asked about
FARTHEST = 110_000  # and the positions that such a video takes


def afar(rng, pairs):
    """(seconds that the clip is moved by, leaps of position): a short clip seen as part of a long one, so that times of four digits
    and distances of an hour are met without the tokens of an hour (positions skipped as in PoSE, Zhu et al. 2023)."""
    shift = round(2 * LATEST ** rng.random()) / 2 if rng.random() < 0.5 else 0.0
    leaps = {}
    if rng.random() < 0.6:
        left = int(FARTHEST ** rng.uniform(0.5, 1.0))
        for _ in range(rng.randint(1, 3)):
            leap = rng.randint(0, left)
            leaps[rng.randint(0, pairs)] = leap
            left -= leap
    return shift, leaps


MOVED = 12  # pixels that a clip's pictures are moved by at most


def moved(rng, pixels, signs, most=MOVED):
    """Pictures [..., height, width, 3] moved by some pixels, their edges drawn out, no sign cut off; and the move to the right and down in
    widths and heights. The world's things stand anywhere, so what is learned must not depend on where they stood in so many clips."""
    height, width = pixels.shape[-3:-1]
    ways = zip(room(signs, height, width), (width, width, height, height))
    left, right, up, down = (min(most, int(part * side)) for part, side in ways)
    x, z = rng.randint(-left, right), rng.randint(-up, down)
    across, along = (np.arange(width) - x).clip(0, width - 1), (np.arange(height) - z).clip(0, height - 1)
    return pixels[..., along[:, None], across, :], (x / width, z / height)


def pair_at(pairs, time):
    """The first pair of frames that shows what changed at this time, or the last pair."""
    return next((i for i, (_, b) in enumerate(pairs) if b >= time), len(pairs) - 1)


def pack(rows):
    width = -(-max(len(r["ids"]) for r in rows) // 32) * 32
    def fill(key, value):
        return torch.tensor([r[key] + [value] * (width - len(r[key])) for r in rows])
    ids, seg, target = fill("ids", 0), fill("seg", -1), fill("target", -100)
    positions = torch.tensor([r["pos"] + [(0, 0, 0)] * (width - len(r["pos"])) for r in rows])
    order = torch.arange(width)
    pair, weight = fill("pair", 0), fill("weight", 0.0)
    seen = (order[None, :, None] >= order[None, None, :]) & ((seg[:, None, :] == 0) | (seg[:, None, :] == seg[:, :, None]))
    mask = weight[:, None, :] * (pair[:, :, None] - pair[:, None, :] >= LATELY)
    mask = mask.masked_fill(~seen, -1e4)
    held = [h for r in rows for h in r["story"]]
    told = torch.zeros(len(held), STATES, len(THINGS))
    told[[n for n, h in enumerate(held) for _ in h], [s for h in held for s, _ in h], [i for h in held for _, i in h]] = 1
    pointers = torch.tensor([(b, *p) for b, r in enumerate(rows) for p in r["pointers"]], dtype=torch.long).reshape(-1, 5)
    return dict(ids=ids, positions=positions, mask=mask[:, None], target=target, seg=seg, story=told.flatten(1), pointers=pointers,
                digits=torch.tensor([d for r in rows for d in r["digits"]]), counts=torch.tensor([c for r in rows for c in r["counts"]]),
                seen=torch.stack([y for r in rows for y in r["seen"]]).char(),
                kept=torch.from_numpy(np.concatenate([r["kept"] for r in rows])),
                pixels=torch.from_numpy(np.concatenate([r["pixels"] for r in rows])))
