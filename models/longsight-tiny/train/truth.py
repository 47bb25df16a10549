"""What a pair of frames shows, from the script: targets for the vision tower and for the language model's lower layers.

Times are seconds of the clip; a pair is the times (a, b) of its two frames. What shows is one of 120 things (a colour and a shape),
one of the words of the world's signs, a number of two digits, or a counter (`3:07`), whose digits are told apart by their place.
"""
import torch

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "white", "cyan", "pink", "black"]
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring", "arrow", "crescent", "hourglass", "bolt"]
MOTIONS = ["still", "left", "right", "up", "down", "grows", "shrinks"]  # "up-left" is up and left
WORDS = ("OPEN EXIT STOP TAXI CAFE NORTH SOUTH EAST WEST BANK PARK HOTEL MALL BUS METRO ZOO MUSIC BOOKS PIZZA FISH MILK TEA GOLD "
         "RIVER LAKE HILL QUIET HELP SALE FIRE JUMP WAVE").split()
FADE = 1.0  # no scene takes longer to come or go
FLASH, TICK = 0.15, 2.0  # seconds: see the world's script


class Labels:
    """Names of columns."""

    def __init__(self, names):
        self.names, self.at = names, {n: i for i, n in enumerate(names)}

    def __len__(self):
        return len(self.names)


NUMBERS = [f"{place}{d}" for place in ("minutes", "tens", "ones") for d in range(10)]
# A visual token: what it speaks of in words first, then what only training asks it.
SEEN = Labels(COLOURS + SHAPES + WORDS + NUMBERS + MOTIONS + ["first only", "second only"])
NAMED = len(COLOURS + SHAPES + WORDS)
OBJECT = [SEEN.at[n] for n in COLOURS + SHAPES + MOTIONS + ["first only", "second only"]]
SIGN = [SEEN.at[n] for n in WORDS + NUMBERS]
# A pair of frames as a whole.
THINGS = Labels([f"{c} {s}" for c in COLOURS for s in SHAPES] + WORDS + NUMBERS)
STATES = 5  # seen in the first frame, in the second, begun or ended since the pair before, seen at any time so far
MOST = 5  # of a sort are counted; more count as so many
SCENES = 9


def sign_labels(sign, t):
    """What a sign says at time t."""
    text = sign["text"]
    if sign["counts"]:
        minutes, seconds = map(int, text.split(":"))
        count = minutes * 60 + seconds + int(max(0, t - sign["span"][0]) / TICK)
        return [f"minutes{count // 60 % 10}", f"tens{count % 60 // 10}", f"ones{count % 10}"]
    return [text] if text.isalpha() else [f"tens{text[0]}", f"ones{text[1]}"]


def colour_at(o, t):
    return o["repaint"]["colour"] if o["repaint"] and t >= o["repaint"]["at"] else o["colour"]


def on(span, t):
    return span[0] <= t < span[1]


def cell_at(x, z, grid):
    """The cell of a point, or None outside the picture."""
    rows, columns = grid
    return int(z * rows) * columns + int(x * columns) if 0 <= x < 1 and 0 <= z < 1 else None


def room(signs, height, width):
    """How far [left, right, up, down] pictures can be moved before a sign leaves them, in their widths and heights."""
    wide, high = width / min(height, width), height / min(height, width)
    reach = lambda s: ((6 * len(s["text"]) + 1) * s["stroke"] / 2 / wide, 4.5 * s["stroke"] / high)
    sides = [(x - w, 1 - x - w, z - h, 1 - z - h) for (x, z), (w, h) in ((s["centre"], reach(s)) for s in signs)]
    return [max(0.0, min(side)) for side in zip(*sides, [1.0] * 4)]


def shown(row, a, b, grid, shift=(0, 0)):
    """Targets [rows * columns, SEEN] of one pair: 1, 0, or -1 where nothing is asked. None in a flash and while one scene turns into
    another. `shift` is how far the pictures have been moved to the right and down, in their widths and heights.

    An object's colour, shape and motion hold for the cell of its centre; cells that it only touches are not asked for it."""
    scenes = [s for s in row["scenes"] if s["span"][0] <= a and b < s["span"][1]]
    if not scenes:
        return None
    scene, mid = scenes[0], (a + b) / 2
    after = [s for s in row["scenes"] if s["span"][0] == scene["span"][1]]
    if after and after[0]["entrance"]["kind"] != "cut" and scene["span"][1] - b < FADE:
        return None
    if scene["flash"] is not None and any(scene["flash"] - 0.2 <= t < scene["flash"] + FLASH + 0.2 for t in (a, b)):
        return None
    rows, columns = grid
    y = torch.zeros(rows * columns, len(SEEN))
    held = set()
    for o in scene["objects"]:
        first, second = on(o["span"], a), on(o["span"], b)
        if not (first or second):
            continue
        t = mid if first and second else a if first else b
        share = (t - o["span"][0]) / (o["span"][1] - o["span"][0])
        x, z = (f + (g - f) * min(1, max(0, share)) for f, g in zip(o["from"], o["to"]))
        x, z = x + shift[0], z + shift[1]
        reach = (o["diameters"][0] + (o["diameters"][1] - o["diameters"][0]) * share) / 2
        centre = cell_at(x, z, grid)
        for cell in range(rows * columns):
            r, c = divmod(cell, columns)
            # Places are in widths and heights, sizes in the shorter of both.
            dx = max(c / columns - x, 0, x - (c + 1) / columns) * columns / min(grid)
            dz = max(r / rows - z, 0, z - (r + 1) / rows) * rows / min(grid)
            if cell == centre and colour_at(o, a) == colour_at(o, b):
                names = [colour_at(o, t), o["shape"]]
                names += o["motion"].split("-") if first and second else ["first only" if first else "second only"]
                y[cell, OBJECT] = 0
                y[cell, [SEEN.at[n] for n in names]] = 1
                if not (first and second):
                    y[cell, [SEEN.at[m] for m in MOTIONS]] = -1
                held.add(cell)
            elif cell not in held and dx * dx + dz * dz <= reach * reach:
                y[cell, OBJECT] = -1
    sign = scene["sign"]
    if sign and (on(sign["span"], a) or on(sign["span"], b)):
        cell = cell_at(sign["centre"][0] + shift[0], sign["centre"][1] + shift[1], grid)
        y[:, SIGN] = -1
        y[cell, SIGN] = 0
        first, second = ({SEEN.at[n] for n in sign_labels(sign, t)} for t in (a, b))
        y[cell, list(first & second)] = 1
        y[cell, list(first ^ second)] = -1  # a counter goes on between the frames
    return y


def visible(row, t):
    """Columns of THINGS that show at time t."""
    found = set()
    for scene in row["scenes"]:
        for o in scene["objects"]:
            if on(o["span"], t):
                found.add(THINGS.at[f"{colour_at(o, t)} {o['shape']}"])
        if scene["sign"] and on(scene["sign"]["span"], t):
            found.update(THINGS.at[n] for n in sign_labels(scene["sign"], t))
    return found


def story(row, pairs):
    """For each pair of frames, the (state, thing) that hold; and how many things of each sort have been seen so far: of each colour,
    of each shape, in all, signs, scenes."""
    told, counts, before, ever = [], [], set(), set()
    signs = {s["sign"]["text"]: s["sign"]["span"][0] for s in row["scenes"] if s["sign"] and not s["sign"]["counts"]}
    for a, b in pairs:
        first, second = visible(row, a), visible(row, b)
        held = [(0, i) for i in first] + [(1, i) for i in second]
        held += [(2, i) for i in (first | second) - before] + [(3, i) for i in (before | first) - second]
        ever |= first | second
        told.append(held + [(4, i) for i in ever])
        things = [divmod(i, len(SHAPES)) for i in ever if i < len(COLOURS) * len(SHAPES)]
        sorts = [sum(c == k for c, _ in things) for k in range(len(COLOURS))] + [sum(s == k for _, s in things) for k in range(len(SHAPES))]
        sorts += [len(things), sum(start <= b for start in signs.values())]
        counts.append([min(MOST, n) for n in sorts] + [min(SCENES, sum(s["span"][0] <= b for s in row["scenes"]))])
        before = second
    return told, counts


SORTS = len(COLOURS) + len(SHAPES) + 2


DIGITS = 5


def stamp_digits(t):
    """Thousands, hundreds, tens, ones and tenths of a time as the prompt prints it."""
    whole, tenth = f"{t:.1f}".split(".")
    return [int(d) for d in whole[-4:].rjust(4, "0")] + [int(tenth)]
