"""Draws held-out clips of the generated world by another hand, asks longsight about both films of each, and counts right answers by kind.

    pip install numpy pillow av
    python tests/peers/world_another_hand.py target/release/longsight target/release/world models/longsight-tiny [--clips 40] [--each 8]

The other hand reads the scripts' JSON and shares no code with samples/world: Pillow's polygons at twice the size, TrueType
letters (DejaVu), outlines of its own, shapes by its own formulae, and size, frame rate, codec and bit rate drawn for each clip.
Right is word for word; "when" from an IoU of 0.5 on; "how long" within a second.
"""

import argparse
import collections
import json
import math
import pathlib
import random
import re
import subprocess
import tempfile
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FINER = 2  # drawn so many times as large, then averaged
FONTS = ["DejaVuSansMono-Bold.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSans.ttf"]
CODECS = [("libx264", {"crf": "26"}), ("libx264", {"crf": "33", "preset": "veryfast"}), ("libx265", {"crf": "30", "x265-params": "log-level=none"}),
          ("libvpx-vp9", {"crf": "36", "b": "0", "cpu-used": "6"}), ("mpeg4", {"qscale": "6"})]
SIZES = [(320, 320), (240, 240), (640, 360), (426, 240), (320, 240), (256, 256)]
RATES = [Fraction(8), Fraction(10), Fraction(15), Fraction(24000, 1001), Fraction(25)]


def around(n, radii, turn=0.0):
    """`n` corners around the centre, the first upwards."""
    return [(radii[i % len(radii)] * math.sin(turn + 2 * math.pi * i / n), -radii[i % len(radii)] * math.cos(turn + 2 * math.pi * i / n))
            for i in range(n)]


def heart():
    return [(0.062 * 16 * math.sin(t) ** 3, -0.062 * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
            for t in (math.pi * i / 40 for i in range(80))]


def crescent():
    """An arc of the unit circle, and back along a circle further to the right through the same tips."""
    tip = math.radians(50)
    middle, outer = 0.5, np.linspace(tip, 2 * math.pi - tip, 60)
    radius, last = math.hypot(math.cos(tip) - middle, math.sin(tip)), math.atan2(math.sin(tip), math.cos(tip) - middle)
    inner = np.linspace(2 * math.pi - last, last, 60)
    return [(math.cos(a), math.sin(a)) for a in outer] + [(middle + radius * math.cos(a), radius * math.sin(a)) for a in inner]


SHAPES = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": around(3, [1.0]),
    "star": around(10, [1.0, 0.42]),
    "heart": heart(),
    "cross": [(-.33, -1), (.33, -1), (.33, -.33), (1, -.33), (1, .33), (.33, .33), (.33, 1), (-.33, 1), (-.33, .33), (-1, .33), (-1, -.33), (-.33, -.33)],
    "diamond": [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)],
    "arrow": [(0, -1), (0.8, 0), (0.3, 0), (0.3, 1), (-0.3, 1), (-0.3, 0), (-0.8, 0)],
    "crescent": crescent(),
    "hourglass": [(-0.72, -0.95), (0.72, -0.95), (0.1, 0), (0.72, 0.95), (-0.72, 0.95), (-0.1, 0)],
    "bolt": [(0.3, -1), (-0.6, 0.12), (-0.08, 0.12), (-0.32, 1), (0.6, -0.2), (0.1, -0.2)],
}


class Hand:
    def __init__(self, script, rng):
        self.script, self.size = script, rng.choice(SIZES)
        self.rate, (self.codec, self.options) = rng.choice(RATES), rng.choice(CODECS)
        self.font = rng.choice(FONTS)
        self.outline = rng.choice([None, None, (0, 0, 0), (255, 255, 255)])
        self.noise = np.random.default_rng(rng.randrange(1 << 30))
        self.short = min(self.size)
        self.still = {}

    def background(self, n, scene, share):
        if scene["camera"]:
            return self.spread(scene, share)
        if n not in self.still:
            self.still = {n: self.spread(scene, 0)}
        return self.still[n].copy()

    def spread(self, scene, share):
        b, (w, h) = scene["background"], self.size
        camera = scene["camera"] or {"pan": [0, 0], "zoom": 1}
        zoom = 1 + (camera["zoom"] - 1) * share
        x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
        x = (x - w / 2) / zoom + w / 2 - camera["pan"][0] * share * self.short
        y = (y - h / 2) / zoom + h / 2 - camera["pan"][1] * share * self.short
        u, v, p = x / self.short * b["cells"], y / self.short * b["cells"], b["pattern"]
        if p == "solid": s = np.zeros_like(x)
        elif p == "gradient-down": s = np.clip(y / h, 0, 1)
        elif p == "gradient-across": s = np.clip(x / w, 0, 1)
        elif p == "gradient-round": s = np.clip(np.hypot(x / w - .5, y / h - .5) * 1.4, 0, 1)
        elif p == "stripes-down": s = np.floor(u) % 2
        elif p == "stripes-across": s = np.floor(v) % 2
        elif p == "slanted": s = np.floor(u - v) % 2
        elif p == "checker": s = (np.floor(u) + np.floor(v)) % 2
        elif p == "dots": s = np.hypot(u % 1 - .5, v % 1 - .5) < .25
        elif p == "bricks": s = ((v * 2) % 1 < .15) | ((u + np.floor(v * 2) % 2 / 2) % 1 < .08)
        else: s = .5 + .25 * np.sin(u * 2.1 + b["grain"] % 7) + .25 * np.sin(v * 2.7 + u)
        one, other = np.array(b["one"], float), np.array(b["other"], float)
        return Image.fromarray((one + (other - one) * s.astype(float)[..., None]).astype(np.uint8)).resize((w * FINER, h * FINER), Image.BILINEAR)

    def object(self, draw, o, t):
        share = (t - o["span"][0]) / (o["span"][1] - o["span"][0])
        mid = [(a + (b - a) * share) * side * FINER for a, b, side in zip(o["from"], o["to"], self.size)]
        r = (o["diameters"][0] + (o["diameters"][1] - o["diameters"][0]) * share) * self.short * FINER / 2
        rgb = tuple(o["repaint"]["rgb"] if o["repaint"] and t >= o["repaint"]["at"] else o["rgb"])
        line, width = self.outline or rgb, max(1, round(r * 0.06)) if self.outline else 1
        box = [mid[0] - r, mid[1] - r, mid[0] + r, mid[1] + r]
        if o["shape"] == "circle":
            draw.ellipse(box, fill=rgb, outline=line, width=width)
        elif o["shape"] == "ring":
            draw.ellipse(box, outline=rgb, width=round(r * 0.5))
        else:
            draw.polygon([(mid[0] + x * r, mid[1] + y * r) for x, y in SHAPES[o["shape"]]], fill=rgb, outline=line, width=width)

    def sign(self, picture, s, t):
        text = s["text"]
        if s["counts"]:
            m, sec = map(int, text.split(":"))
            n = m * 60 + sec + int((t - s["span"][0]) / 2)
            text = f"{n // 60 % 10}:{n % 60:02}"
        cell = s["stroke"] * self.short * FINER
        wide, high = (len(text) * 6 - 1) * cell, 7 * cell
        x, y = (c * side * FINER for c, side in zip(s["centre"], self.size))
        draw = ImageDraw.Draw(picture)
        draw.rectangle([x - wide / 2 - cell, y - high / 2 - cell, x + wide / 2 + cell, y + high / 2 + cell], fill=tuple(s["plate"]))
        # Letters as large as the plate lets them be.
        font = ImageFont.truetype(self.font, 100)
        left, top, right, bottom = font.getbbox(text)
        font = ImageFont.truetype(self.font, 100 * min(wide / (right - left), high / (bottom - top)))
        left, top, right, bottom = font.getbbox(text)
        draw.text((x - (left + right) / 2, y - (top + bottom) / 2), text, font=font, fill=tuple(s["ink"]))

    def scene(self, n, t):
        s = self.script["scenes"][n]
        share = (t - s["span"][0]) / (s["span"][1] - s["span"][0])
        w, h = self.size
        picture = self.background(n, s, share)
        draw = ImageDraw.Draw(picture)
        for o in s["objects"]:
            if o["span"][0] <= t < o["span"][1]:
                self.object(draw, o, t)
        if s["post"]:
            x, half = s["post"]["x"] * w * FINER, s["post"]["width"] * self.short * FINER / 2
            draw.rectangle([x - half, 0, x + half, h * FINER], fill=tuple(s["post"]["rgb"]))
        if s["sign"] and s["sign"]["span"][0] <= t < s["sign"]["span"][1]:
            self.sign(picture, s["sign"], t)
        a = np.asarray(picture.reduce(FINER), np.float32)
        if s["flash"] is not None and s["flash"] <= t < s["flash"] + 0.15:
            a = a * 0.1 + 255 * 0.9
        if s["grain"]:
            a = a + self.noise.uniform(-s["grain"], s["grain"], a.shape[:2])[..., None]
        return a

    def picture(self, t):
        scenes = self.script["scenes"]
        n = max(i for i, s in enumerate(scenes) if s["span"][0] <= t or i == 0)
        a = self.scene(n, t)
        if n + 1 < len(scenes) and (seconds := scenes[n + 1]["entrance"].get("seconds")):
            share = 1 - (scenes[n + 1]["span"][0] - t) / seconds
            if share > 0:
                b = self.scene(n + 1, scenes[n + 1]["span"][0])
                if scenes[n + 1]["entrance"]["kind"] == "cross-dissolve": a = a * (1 - share) + b * share
                else: a = a * (1 - 2 * share) if share < .5 else b * (2 * share - 1)
        return np.clip(a, 0, 255).astype(np.uint8)

    def film(self, path):
        with av.open(str(path), "w") as out:
            stream = out.add_stream(self.codec, rate=self.rate, options=self.options)
            stream.width, stream.height, stream.pix_fmt = *self.size, "yuv420p"
            for i in range(round(self.script["duration"] * self.rate)):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(self.picture(float(i / self.rate)), format="rgb24")))
            out.mux(stream.encode())


def overlap(one, other):
    def length(spans): return sum(b - a for a, b in spans)
    both = sum(max(0, min(b, d) - max(a, c)) for a, b in one for c, d in other)
    return both / max(1e-9, length(one) + length(other) - both)


def right(q, said):
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", said)]
    if q["kind"] == "when":
        return overlap(q["spans"], list(zip(numbers[::2], numbers[1::2]))) >= 0.5
    if q["kind"] == "duration":
        return bool(numbers) and abs(numbers[0] - float(q["answer"].split()[0])) <= 1
    return said == q["answer"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("longsight")
    parser.add_argument("world")
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--each", type=int, default=8, help="questions about each clip")
    parser.add_argument("--seed", type=int, default=8_000_000)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the films")
    parser.add_argument("--no-check", action="store_true", help="one look instead of closer ones")
    args = parser.parse_args()
    got = collections.defaultdict(lambda: [0, 0, 0])
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        for seed in range(args.seed, args.seed + args.clips):
            own, other = folder / f"{seed}.mp4", folder / f"{seed}-other.mkv"
            subprocess.run([args.world, "clip", "--seed", str(seed), "--out", own, "--questions", str(args.each)], check=True)
            truth = json.loads(own.with_suffix(".json").read_text())
            hand = Hand(truth["script"], random.Random(seed))
            if not other.exists():
                hand.film(other)
            questions = [q for q in truth["questions"] if not q["choices"]]
            texts = [q["text"] for q in questions]
            for place, path in enumerate((own, other)):
                command = [args.longsight, "ask", path, *texts, "--model", args.model, "--json", "-q"] + ["--no-check"] * args.no_check
                lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
                for q, line in zip(questions, lines, strict=True):
                    said = json.loads(line)["answer"]
                    got[q["kind"]][place] += right(q, said)
                    got[q["kind"]][2] += place
                    if place and not right(q, said):
                        print(f"{seed} {hand.size} {hand.codec} {hand.font}: {q['text']} {q['answer']} | {said}", flush=True)
    print(f"{'kind':12} asked   own  other  (per cent right)")
    for kind, (a, b, n) in sorted(got.items()) + [("all", [sum(v) for v in zip(*got.values())])]:
        print(f"{kind:12} {n:5} {100 * a / n:6.1f} {100 * b / n:6.1f}")


if __name__ == "__main__":
    main()
