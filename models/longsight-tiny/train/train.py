"""Trains one stage of longsight-tiny, or goes on with it.

Use: train.py --data DIR [DIR ...] --held-out DIR --tokenizer tokenizer.json --out RUN --minutes 30 [--init CHECKPOINT] [--batch 32]

A stage is a fixed time budget with a warm-up, a constant rate and a decay to zero over the last third; `RUN/last.pt` is written
whole and renamed every two minutes and is picked up again by the same command.
"""
import argparse, json, os, pathlib, queue, random, tempfile, threading, time
import torch
from torch.nn import functional as F
from tokenizers import Tokenizer
from data import Clips, Packer, pack
from model import Tiny


EPOCH = 2000  # clips that each source gives before the next mix, so that a small set of long clips is not drowned


# What the first questions of a new user are about is asked more often than the rest.
OFTEN = {"existence": 4, "colour": 4, "shape": 4, "when": 4, "absent": 2, "reading": 2}


def pick(rng, questions, count):
    """Without repetition, by weight: the smallest of exponential draws."""
    return sorted(questions, key=lambda q: rng.expovariate(OFTEN.get(q["kind"], 1)))[:count]


def batches(sources, packer, size, per_clip, seed, stop):
    """Endless batches of clips of like length, made on one thread ahead of the training."""
    rng = random.Random(seed)
    while not stop.is_set():
        order = [(clips, row) for clips in sources for row in rng.sample(clips.rows, min(EPOCH, len(clips.rows)))]
        rng.shuffle(order)
        for start in range(0, len(order), size * 16):
            group = sorted(order[start:start + size * 16], key=lambda cr: cr[1]["frames"])
            chunks = [group[i:i + size] for i in range(0, len(group), size)]
            rng.shuffle(chunks)
            for chunk in chunks:
                rows = []
                for clips, row in chunk:
                    questions = pick(rng, row["questions"], per_clip)
                    shift = rng.randrange(1, 120) * 0.5 if rng.random() < 0.3 else 0.0
                    rows.append(packer.row(clips, row, questions, shift))
                yield pack(rows)


def ahead(make, depth=6):
    box, stop = queue.Queue(depth), threading.Event()
    def work():
        for item in make(stop):
            box.put(item)
    threading.Thread(target=work, daemon=True).start()
    while True:
        yield box.get()


def loss_of(model, batch):
    batch["visual"] = batch["ids"] == model.pad
    hidden = model(batch)
    asked = batch["target"] >= 0
    logits = model.logits(hidden[asked]).float()
    return F.cross_entropy(logits, batch["target"][asked], label_smoothing=0.02), logits, asked


@torch.no_grad()
def evaluate(model, clips, packer, limit=48):
    """Exact answers per kind by teacher forcing (the same as greedy: an answer is right only if every argmax is)."""
    model.eval()
    right, total = {}, {}
    for start in range(0, min(limit, len(clips.rows)), 8):
        chunk = clips.rows[start:start + 8]
        batch = pack([packer.row(clips, r, r["questions"]) for r in chunk])
        with torch.autocast("cpu", torch.bfloat16):
            _, logits, asked = loss_of(model, batch)
        hit = torch.ones_like(batch["target"], dtype=torch.bool)
        hit[asked] = logits.argmax(-1) == batch["target"][asked]
        for b, row in enumerate(chunk):
            for n, q in enumerate(row["questions"], 1):
                ok = bool(hit[b][batch["seg"][b] == n].all())
                right[q["kind"]] = right.get(q["kind"], 0) + ok
                total[q["kind"]] = total.get(q["kind"], 0) + 1
    model.train()
    return {k: round(right[k] / total[k], 3) for k in sorted(total)}


def optimisers(model, rate):
    """Muon for the matrices inside the blocks, AdamW for everything else."""
    inner, other = [], []
    for name, p in model.named_parameters():
        (inner if p.ndim == 2 and "embed" not in name and "merger" not in name else other).append(p)
    return [torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(other, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", type=pathlib.Path, required=True)
    ap.add_argument("--held-out", type=pathlib.Path, required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--init", type=pathlib.Path)
    ap.add_argument("--minutes", type=float, required=True)
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--questions", type=int, default=8)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--decay", type=float, default=0.35, help="share of the time over which the rate falls to zero")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--processes", type=int, default=2, help="one thread each: faster on a CPU than threads in one process")
    a = ap.parse_args()
    a.meet = f"file://{tempfile.mktemp()}"
    torch.multiprocessing.spawn(train, (a,), nprocs=a.processes)


def train(rank, a):
    torch.distributed.init_process_group("gloo", init_method=a.meet, rank=rank, world_size=a.processes)
    torch.set_num_threads(max(1, os.cpu_count() // a.processes))
    a.batch //= a.processes
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    packer = Packer(Tokenizer.from_file(a.tokenizer))
    model = Tiny(packer.tok.get_vocab_size())
    model.pad = packer.pad
    if rank == 0:
        print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    opts = optimisers(model, a.rate)
    spent, step, last = 0.0, 0, a.out / "last.pt"
    if last.exists():
        saved = torch.load(last)
        model.load_state_dict(saved["model"])
        for o, s in zip(opts, saved["opts"]):
            o.load_state_dict(s)
        spent, step = saved["spent"], saved["step"]
    elif a.init:
        model.load_state_dict(torch.load(a.init)["model"])
    sources, held = [Clips(d) for d in a.data], Clips(a.held_out)
    feed = ahead(lambda stop: batches(sources, packer, a.batch, a.questions, a.seed + step + 1000 * rank, stop))
    budget, seen, total = a.minutes * 60, 0, 0.0
    log = open(a.out / "log.jsonl", "a") if rank == 0 else None
    clock = torch.zeros(1)
    started, saved_at, shown = time.time() - spent, time.time(), time.time()
    while True:
        # Every process stops at the same step: the first one's clock counts for all.
        clock[0] = time.time() - started
        torch.distributed.broadcast(clock, 0)
        if (spent := clock.item()) >= budget:
            break
        batch = next(feed)
        done = spent / budget
        scale = min(1.0, (step + 1) / 100, (1 - done) / a.decay)
        for o in opts:
            for g in o.param_groups:
                g["lr"] = a.rate * scale
        with torch.autocast("cpu", torch.bfloat16):
            loss, _, _ = loss_of(model, batch)
        loss.backward()
        share(model, a.processes)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step, seen, total = step + 1, seen + len(batch["ids"]), total + loss.item()
        now = time.time()
        if rank == 0 and now - shown > 30:
            line = dict(step=step, minutes=round(spent / 60, 2), clips_per_s=round(a.processes * seen / (now - shown), 1), rate=round(a.rate * scale, 6))
            line["loss"] = round(total / max(1, seen // a.batch), 4)
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n"); log.flush()
            seen, total, shown = 0, 0.0, now
        if rank == 0 and now - saved_at > 240:
            save(last, model, opts, spent, step)
            print(json.dumps(dict(step=step, held_out=evaluate(model, held, packer))), flush=True)
            saved_at = time.time()
    if rank > 0:
        return
    save(last, model, opts, spent, step)
    line = dict(step=step, held_out=evaluate(model, held, packer))
    print(json.dumps(line), flush=True)
    log.write(json.dumps(line) + "\n")


def share(model, processes):
    """The mean of every process's gradients."""
    if processes > 1:
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        torch.distributed.all_reduce(flat)
        for p, g in zip(model.parameters(), flat.split([p.numel() for p in model.parameters()])):
            p.grad.copy_(g.view_as(p) / processes)


def save(path, model, opts, spent, step):
    torch.save(dict(model=model.state_dict(), opts=[o.state_dict() for o in opts], spent=spent, step=step), str(path) + ".tmp")
    os.replace(str(path) + ".tmp", path)


if __name__ == "__main__":
    main()
