"""Trains one stage of longsight-tiny, or goes on with it.

Use: train.py --data DIR [DIR ...] --held-out DIR --tokenizer tokenizer.json --out RUN --minutes 30 [--init CHECKPOINT] [--batch 32]

A stage is a fixed budget of time (see `clock`) with a warm-up, a constant rate
and a decay to zero at its end; `RUN/last.pt` is written whole and renamed every five minutes and is picked up again by the same
command. `--init` starts from another stage's state, or from the exported model.safetensors.
"""
import argparse, ctypes, json, os, pathlib, queue, random, re, signal, sys, tempfile, threading, time
import torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from asker import Asker
from data import Clips, Packer, pack, scene_of
from model import CONFIG, RMSNorm, Tiny, rotate
from truth import DIGITS, MOST, SCENES, SORTS, STATES, THINGS


EPOCH = 2000  # clips that each source gives before the next mix, so that a small set of long clips is not drowned
SCENED = 0.25  # share of clips of which a scene is shown and described alone
FRAMES = 20  # a batch of `--batch` clips has at most so many frames a clip; longer clips come in smaller batches


# The layer before which the lower half is asked, and the one in which two heads, (of queries, of keys), look answers up.
TELL, LOOK = 3, 4
HEADS = [(0, 0), (2, 1)]

PR_SET_PDEATHSIG = 1  # of Linux's prctl

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Without bf16 dot products in the processor, bf16 is ten times slower than f32.
HALF = DEVICE == "cuda" or torch.cpu._is_avx512_bf16_supported()

# What is hard, and what new users ask first, is asked more often than the rest.
OFTEN = {"existence": 2, "count": 3, "motion": 2, "reading": 3, "order": 3, "when": 4, "absent": 2, "after": 4, "scene": 2}


def pick(rng, questions, count):
    """Without repetition, by weight: the smallest of exponential draws."""
    return sorted(questions, key=lambda q: rng.expovariate(OFTEN.get(q["kind"], 1)))[:count]


def batches(sources, packer, size, per_clip, seed, stop):
    """Endless batches of clips of one grid and like length, made on one thread ahead of the training."""
    rng = random.Random(seed)
    while not stop.is_set():
        rows = [(clips, scened(rng, row)) for clips in sources for row in rng.sample(clips.rows, min(EPOCH, len(clips.rows)))]
        order = [(clips, row, slower(rng, row)) for clips, row in rows]
        rng.shuffle(order)
        for start in range(0, len(order), size * 16):
            chunks = [[]]
            for clips, row, stride in sorted(order[start:start + size * 16], key=lambda one: (one[0].grid, one[1]["frames"] // one[2])):
                other = chunks[-1] and chunks[-1][0][0].grid != clips.grid
                if other or len(chunks[-1]) == size or (len(chunks[-1]) + 1) * (row["frames"] // stride) > size * FRAMES:
                    chunks.append([])
                chunks[-1].append((clips, row, stride))
            rng.shuffle(chunks)
            for chunk in filter(None, chunks):
                yield pack([packer.row(clips, row, pick(rng, row["questions"], per_clip), rng, stride) for clips, row, stride in chunk])


def scened(rng, row):
    """A clip as it is, or one scene of it alone."""
    return rng.random() < SCENED and scene_of(row, rng.randrange(len(row["scenes"]))) or row


def slower(rng, row):
    """Every which frame of a clip is shown: most clips as they are, some at a half or a quarter of the rate."""
    return rng.choice([1, 1, 1, 1, 2, 4]) if row["frames"] >= 16 else 1


def ahead(make, depth=6):
    box, stop = queue.Queue(depth), threading.Event()
    def work():
        for item in make(stop):
            box.put(item)
    threading.Thread(target=work, daemon=True).start()
    while True:
        yield on_device(box.get())


def on_device(batch):
    """A batch, or a tuple of tensors, where the training runs."""
    if isinstance(batch, dict):
        return {k: v.to(DEVICE, non_blocking=True) for k, v in batch.items()}
    return tuple(v.to(DEVICE, non_blocking=True) for v in batch)


def clock():
    """Seconds of the budget: of the processor where it does the work, so that other work on the machine does not shorten a stage."""
    return time.process_time() if DEVICE == "cpu" else time.time()


class Teller(nn.Module):
    """What the language model's lower half knows at the end of each pair of frames, asked while training only.

    What shows in either frame, what has begun or ended since the pair before, and the times printed before both pairs: the
    facts that answers are made of. Asked directly, they are learned from every pair instead of from a few answers a clip."""

    def __init__(self, text):
        super().__init__()
        self.norm = RMSNorm(text["hidden_size"], text["rms_norm_eps"])
        size = text["hidden_size"]
        self.story, self.digits = nn.Linear(size, STATES * len(THINGS)), nn.Linear(size, 20 * DIGITS)
        self.counts, self.scene = nn.Linear(size, SORTS * (MOST + 1)), nn.Linear(size, SCENES + 1)
        nn.init.constant_(self.story.bias, -4.0)

    def forward(self, half, batch):
        x = self.norm(half).float()
        told = F.binary_cross_entropy_with_logits(self.story(x), batch["story"], reduction="none", pos_weight=torch.tensor(3.0, device=x.device)).sum(1).mean()
        told = told + F.cross_entropy(self.digits(x).view(-1, 10), batch["digits"].flatten()) * 4
        counted = F.cross_entropy(self.counts(x).view(-1, MOST + 1), batch["counts"][:, :-1].flatten())
        return told + counted * 4 + F.cross_entropy(self.scene(x), batch["counts"][:, -1]) * 2


def pointing(language, x, batch):
    """How far the attention of two heads is from where an answer has to be read off: minus the logarithm of their weight on the pairs
    of frames in question. `x` comes before the layer LOOK."""
    return sum(pointed(language, x, batch, head, batch["pointers"][batch["pointers"][:, 2] == head]) for head in range(len(HEADS)))


def pointed(language, x, batch, head, pointers):
    if not len(pointers):
        return x.sum() * 0
    rows, at, _, begin, end = pointers.T
    attention, (cos, sin) = language.layers[LOOK].self_attn, language.turns(batch["positions"])
    x = language.layers[LOOK].input_layernorm(x)
    part = lambda proj, place: proj.weight[place * attention.dim:(place + 1) * attention.dim]
    q = attention.q_norm(F.linear(x[rows, at], part(attention.q_proj, HEADS[head][0])))
    k = attention.k_norm(F.linear(x, part(attention.k_proj, HEADS[head][1])))
    q, k = rotate(q, cos[rows, 0, at], sin[rows, 0, at]), rotate(k, cos[:, 0], sin[:, 0])
    scores = torch.einsum("pc,ptc->pt", q.float(), k.float()[rows]) * attention.dim ** -0.5
    shares = (scores + batch["mask"][rows, 0, at]).log_softmax(-1)
    order = torch.arange(shares.shape[1], device=x.device)
    there = (order >= begin[:, None]) & (order < end[:, None])
    return -shares.masked_fill(~there, -1e4).logsumexp(-1).mean()


def forward(model, batch):
    batch["visual"] = batch["ids"] == model.pad
    hidden, before, tokens = model(batch)
    asked = batch["target"] >= 0
    return model.logits(hidden[asked]).float(), asked, before, tokens


def losses(model, teller, asker, batch):
    """Of the answers, of what the lower half is asked, of where answers look, and of what visual tokens are asked."""
    logits, asked, before, tokens = forward(model, batch)
    told = teller(before[TELL][batch["ids"] == model.closed], batch)
    looked = pointing(model.model.language_model, before[LOOK], batch)
    seen = asker.wrong(tokens, batch["seen"])[0] if asker else told * 0
    return F.cross_entropy(logits, batch["target"][asked], label_smoothing=0.02), told, looked, seen


@torch.no_grad()
def evaluate(model, clips, packer, limit=64):
    """Share of right answers per kind by teacher forcing (as greedy: an answer is right only if every argmax is), and the mean IoU
    of what the argmaxes of "when" say."""
    model.eval()
    right, total, overlap = {}, {}, []
    clipped = clips.rows[:limit]
    scenes = [scene for row in clipped for n in range(len(row["scenes"])) if (scene := scene_of(row, n))]
    for chunk in [rows[start:start + 8] for rows in (clipped, scenes) for start in range(0, len(rows), 8)]:
        batch = on_device(pack([packer.row(clips, r, r["questions"]) for r in chunk]))
        with torch.autocast(DEVICE, torch.bfloat16, enabled=HALF):
            logits, asked, *_ = forward(model, batch)
        said = torch.zeros_like(batch["target"])
        said[asked] = logits.argmax(-1)
        for b, row in enumerate(chunk):
            for n, q in enumerate(row["questions"], 1):
                at = (batch["seg"][b] == n) & asked[b]
                ok = torch.equal(said[b][at], batch["target"][b][at])
                right[q["kind"]] = right.get(q["kind"], 0) + ok
                total[q["kind"]] = total.get(q["kind"], 0) + 1
                if q["kind"] == "when":
                    spans = re.findall(r"([0-9.]+) to ([0-9.]+)", packer.tok.decode(said[b][at].tolist()))
                    overlap.append(iou([tuple(map(float, s)) for s in spans if all(t.count(".") < 2 for t in s)], q["spans"]))
    model.train()
    found = {k: round(right[k] / total[k], 3) for k in sorted(total)}
    return dict(found, iou=round(sum(overlap) / max(1, len(overlap)), 3))


def iou(said, true):
    edges = sorted({t for s in [*said, *true] for t in s})
    inside = lambda spans, t: any(a <= t < b for a, b in spans)
    both = either = 0.0
    for a, b in zip(edges, edges[1:]):
        p, q = inside(said, a), inside(true, a)
        both, either = both + (b - a) * (p and q), either + (b - a) * (p or q)
    return both / either if either else 0.0


def optimisers(model, rate):
    """Muon for the matrices inside the blocks, AdamW for everything else."""
    inner, other = [], []
    for name, p in model.named_parameters():
        (inner if p.ndim == 2 and not any(w in name for w in ("embed", "merger", "teller", "asker")) else other).append(p)
    return [torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(other, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", type=pathlib.Path, required=True)
    ap.add_argument("--held-out", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--init", type=pathlib.Path)
    ap.add_argument("--minutes", type=float, required=True, help="processor minutes of one process; on a GPU, minutes")
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--questions", type=int, default=8)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--decay", type=float, default=0.35, help="share of the budget over which the rate falls to zero")
    ap.add_argument("--tell", type=float, default=0.1, help="weight of what the lower layers are asked")
    ap.add_argument("--look", type=float, default=0.1, help="weight of where answers look")
    ap.add_argument("--see", type=float, default=0.1, help="weight of what visual tokens are asked")
    ap.add_argument("--freeze-vision", action="store_true", help="train the language model alone")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--processes", type=int, default=2 if DEVICE == "cpu" else 1, help="one thread each: faster on a CPU than threads in one process")
    a = ap.parse_args()
    a.meet = f"file://{tempfile.mktemp()}"
    torch.multiprocessing.spawn(train, (a,), nprocs=a.processes)


def train(rank, a):
    if sys.platform == "linux":  # a process whose parent was stopped ends too: it would go on for hours, in gigabytes
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.distributed.init_process_group("gloo", init_method=a.meet, rank=rank, world_size=a.processes)
    torch.set_num_threads(max(1, os.cpu_count() // a.processes))
    a.batch //= a.processes
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    packer = Packer(Tokenizer.from_file(a.tokenizer))
    model, teller = Tiny(packer.tok.get_vocab_size()), Teller(CONFIG["text"])
    model.pad, model.closed = packer.pad, packer.one("<|vision_end|>")
    model.compile_layers()
    # A frozen tower is not asked.
    asker = None if a.freeze_vision else Asker(packer.tok, model.model.language_model.embed_tokens)
    whole = nn.ModuleDict(dict(model=model, teller=teller) | (dict(asker=asker) if asker else {})).to(DEVICE)
    opts = optimisers(whole, a.rate)
    spent, step, last = 0.0, 0, a.out / "last.pt"
    if last.exists() or a.init:
        saved = load(last if last.exists() else a.init)
        model.load_state_dict(saved["model"])
        if "teller" in saved:
            known = teller.state_dict()
            teller.load_state_dict({k: v if v.shape == known[k].shape else known[k] for k, v in saved["teller"].items()})
        if asker and "asker" in saved:
            asker.load_state_dict(saved["asker"])
        for o, s in zip(opts, saved.get("opts", []) if last.exists() else []):
            o.load_state_dict(s)
        if last.exists():
            spent, step = saved["spent"], saved["step"]
    model.model.visual.requires_grad_(not a.freeze_vision)
    sources, held = [Clips(d) for d in a.data], Clips(a.held_out)
    feed = ahead(lambda stop: batches(sources, packer, a.batch, a.questions, a.seed + step + 1000 * rank, stop))
    log = open(a.out / "log.jsonl", "a") if rank == 0 else None

    def say(**line):
        print(json.dumps(line), flush=True)
        log.write(json.dumps(line) + "\n")
        log.flush()

    budget, since, sums = a.minutes * 60, dict(step=step, time=time.time()), torch.zeros(5)
    passed = torch.zeros(1)
    started, saved_at = clock() - spent, time.time()
    while True:
        # Every process stops at the same step: the first one's clock counts for all.
        passed[0] = clock() - started
        torch.distributed.broadcast(passed, 0)
        if (spent := passed.item()) >= budget:
            break
        batch = next(feed)
        scale = min(1.0, (step + 1) / 100, (1 - spent / budget) / a.decay)
        for o in opts:
            for g in o.param_groups:
                g["lr"] = a.rate * scale
        with torch.autocast(DEVICE, torch.bfloat16, enabled=HALF):
            answers, told, looked, seen = losses(model, teller, asker, batch)
        (answers + a.tell * told + a.look * looked + a.see * seen).backward()
        share(whole, a.processes)
        torch.nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step, sums = step + 1, sums + torch.tensor([answers.item(), told.item(), looked.item(), seen.item(), batch["ids"].numel()])
        now = time.time()
        if rank == 0 and now - since["time"] > 60:
            count, seconds = step - since["step"], now - since["time"]
            answer, told, looked, seen, tokens = (sums / count).tolist()
            say(step=step, minutes=round(spent / 60, 2), clips_per_s=round(a.processes * a.batch * count / seconds, 1),
                tokens_per_s=round(a.processes * tokens * count / seconds), rate=round(a.rate * scale, 6), loss=round(answer, 4), told=round(told, 3), looked=round(looked, 3), seen=round(seen, 3))
            since, sums = dict(step=step, time=now), torch.zeros(5)
        if rank == 0 and now - saved_at > 300:
            save(last, model, teller, asker, opts, spent, step)
            say(step=step, held_out=evaluate(model, held, packer))
            saved_at = time.time()
    if rank == 0:
        save(last, model, teller, asker, opts, spent, step)
        say(step=step, held_out=evaluate(model, held, packer))


def load(path):
    if path.suffix == ".safetensors":
        return dict(model={k: v.float().to(DEVICE) for k, v in load_file(path).items()})
    return torch.load(path, map_location=DEVICE)


def share(model, processes):
    """The mean of every process's gradients."""
    if processes > 1:
        trained = [p for p in model.parameters() if p.requires_grad]
        flat = torch.cat([p.grad.flatten() for p in trained])
        torch.distributed.all_reduce(flat)
        for p, g in zip(trained, flat.split([p.numel() for p in trained])):
            p.grad.copy_(g.view_as(p) / processes)


def save(path, model, teller, asker, opts, spent, step):
    state = dict(model=model.state_dict(), teller=teller.state_dict(), **(dict(asker=asker.state_dict()) if asker else {}), opts=[o.state_dict() for o in opts], spent=spent, step=step)
    torch.save(state, str(path) + ".tmp")
    os.replace(str(path) + ".tmp", path)


if __name__ == "__main__":
    main()
