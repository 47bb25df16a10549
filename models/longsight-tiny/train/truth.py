"""What a pair of frames shows, from the script: targets for the vision tower and for the language model's lower layers.

Times are seconds of the clip; a pair is the times (a, b) of its two frames. What shows is one of 64 things (a colour and a shape),
one of the words of the world's signs, or a number of two digits.
"""
import torch

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "white", "cyan"]
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring"]
MOTIONS = ["still", "left", "right", "up", "down"]
WORDS = ("OPEN EXIT STOP TAXI CAFE NORTH SOUTH EAST WEST BANK PARK HOTEL MALL BUS METRO ZOO MUSIC BOOKS PIZZA FISH MILK TEA GOLD "
         "RIVER LAKE HILL QUIET HELP SALE FIRE JUMP WAVE").split()
FADE = 1.0  # no scene takes longer to come or go


class Labels:
    """Names of columns."""

    def __init__(self, names):
        self.names, self.at = names, {n: i for i, n in enumerate(names)}

    def __len__(self):
        return len(self.names)


NUMBERS = [f"tens{d}" for d in range(1, 10)] + [f"ones{d}" for d in range(10)]
# A visual token: what it speaks of in words first, then what only training asks it.
SEEN = Labels(COLOURS + SHAPES + WORDS + NUMBERS + MOTIONS + ["first only", "second only"])
NAMED = len(COLOURS + SHAPES + WORDS)
OBJECT = [SEEN.at[n] for n in COLOURS + SHAPES + MOTIONS + ["first only", "second only"]]
SIGN = [SEEN.at[n] for n in WORDS + NUMBERS]
# A pair of frames as a whole.
THINGS = Labels([f"{c} {s}" for c in COLOURS for s in SHAPES] + WORDS + NUMBERS)
STATES = 5  # seen in the first frame, in the second, begun or ended since the pair before, seen at any time so far


def sign_labels(text):
    return [text] if text.isalpha() else [f"tens{text[0]}", f"ones{text[1]}"]


def colour_at(o, t):
    return o["repaint"]["colour"] if o["repaint"] and t >= o["repaint"]["at"] else o["colour"]


def on(span, t):
    return span[0] <= t < span[1]


def cells(row, a, b, side):
    """Targets [side * side, SEEN] of one pair: 1, 0, or -1 where nothing is asked. None while one scene turns into another.

    An object's colour, shape and motion hold for the cell of its centre; cells that it only touches are not asked for it."""
    scenes = [s for s in row["scenes"] if s["span"][0] <= a and b < s["span"][1]]
    if not scenes:
        return None
    scene, mid = scenes[0], (a + b) / 2
    after = [s for s in row["scenes"] if s["span"][0] == scene["span"][1]]
    if after and after[0]["entrance"]["kind"] != "cut" and scene["span"][1] - b < FADE:
        return None
    y = torch.zeros(side * side, len(SEEN))
    held = set()
    for o in scene["objects"]:
        first, second = on(o["span"], a), on(o["span"], b)
        if not (first or second):
            continue
        t = mid if first and second else a if first else b
        share = (t - o["span"][0]) / (o["span"][1] - o["span"][0])
        x, z = (f + (g - f) * min(1, max(0, share)) for f, g in zip(o["from"], o["to"]))
        reach = o["diameter"] / 2
        centre = min(side - 1, int(z * side)) * side + min(side - 1, int(x * side))
        for cell in range(side * side):
            r, c = divmod(cell, side)
            dx = max(c / side - x, 0, x - (c + 1) / side)
            dz = max(r / side - z, 0, z - (r + 1) / side)
            if cell == centre and colour_at(o, a) == colour_at(o, b):
                names = [colour_at(o, t), o["shape"]]
                names += [o["motion"]] if first and second else ["first only" if first else "second only"]
                y[cell, OBJECT] = 0
                y[cell, [SEEN.at[n] for n in names]] = 1
                if not (first and second):
                    y[cell, [SEEN.at[m] for m in MOTIONS]] = -1
                held.add(cell)
            elif cell not in held and dx * dx + dz * dz <= reach * reach:
                y[cell, OBJECT] = -1
    sign = scene["sign"]
    if sign and (on(sign["span"], a) or on(sign["span"], b)):
        x, z = sign["centre"]
        cell = min(side - 1, int(z * side)) * side + min(side - 1, int(x * side))
        y[:, SIGN] = -1
        y[cell, SIGN] = 0
        y[cell, [SEEN.at[n] for n in sign_labels(sign["text"])]] = 1
    return y


def visible(row, t):
    """Columns of THINGS that show at time t."""
    found = set()
    for scene in row["scenes"]:
        for o in scene["objects"]:
            if on(o["span"], t):
                found.add(THINGS.at[f"{colour_at(o, t)} {o['shape']}"])
        if scene["sign"] and on(scene["sign"]["span"], t):
            found.update(THINGS.at[n] for n in sign_labels(scene["sign"]["text"]))
    return found


def story(row, pairs):
    """For each pair of frames, the (state, thing) that hold."""
    told, before, ever = [], set(), set()
    for a, b in pairs:
        first, second = visible(row, a), visible(row, b)
        held = [(0, i) for i in first] + [(1, i) for i in second]
        held += [(2, i) for i in (first | second) - before] + [(3, i) for i in (before | first) - second]
        ever |= first | second
        told.append(held + [(4, i) for i in ever])
        before = second
    return told


def stamp_digits(t):
    """Hundreds, tens, ones and tenths of a time as the prompt prints it."""
    whole, tenth = f"{t:.1f}".split(".")
    return [int(d) for d in whole[-3:].rjust(3, "0")] + [int(tenth)]
