#!/usr/bin/env bash
# Trains longsight-tiny from nothing: generates the clips, trains the three stages, exports, and checks against transformers.
# Use: run.sh WORK_DIR   (24 GB of disk; some three hours on 2 cores; needs `pip install torch==2.11.0 numpy
# tokenizers safetensors`, a C++ compiler, and transformers==5.23.0 with torchvision==0.26.0 for the check)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$1
mkdir -p "$work"
(cd "$root" && cargo build --release)
world="$root/target/release/world"
clips() { [ -f "$work/$1/clips.jsonl" ] || "$world" export --out "$work/$1" --jobs "$(nproc)" --questions 24 --max-frames 400 "${@:2}"; }
# Seeds of a split are unrelated to the same seeds of the other.
clips short  --clips 14000 --seconds-min 1  --seconds-max 4
clips middle --clips 16000 --seconds-min 4  --seconds-max 16 --seed 200000
clips long   --clips 6000  --seconds-min 10 --seconds-max 60 --seed 400000
clips minutes --clips 300  --seconds-min 120 --seconds-max 600 --seed 600000 --sample-fps 1
clips boards --clips 40000 --boards --seed 800000
clips words  --clips 300   --seconds-min 10 --seconds-max 60 --seed 5000000
clips held-middle --split held-out --clips 64 --seconds-min 4  --seconds-max 16 --seed 200000
clips held-long   --split held-out --clips 64 --seconds-min 10 --seconds-max 60 --seed 300000
cat "$work"/{words,short}/clips.jsonl >"$work/words.jsonl"
cd "$here"
[ -f "$work/tok/tokenizer.json" ] || python3 tokenizer.py "$work/words.jsonl" "$work/tok"
tok="$work/tok/tokenizer.json"
# Memory that glibc gives back after every step has to be cleared by the system before the next.
export MALLOC_MMAP_THRESHOLD_=$((1 << 32)) MALLOC_TRIM_THRESHOLD_=$((1 << 33))
# Minutes are processor time: other work on the machine makes it last longer, not end sooner.
[ -f "$work/vision/last.pt" ] || python3 pretrain.py --data "$work"/{short,boards} --held-out "$work/held-middle" --tokenizer "$tok" \
    --out "$work/vision" --minutes "${VISION_MINUTES:-30}"
# The tower speaks in words by now and stays as it is, while the language model learns to listen.
[ -f "$work/first/done" ] || { python3 train.py --data "$work"/{short,middle,long} --held-out "$work/held-middle" --tokenizer "$tok" \
    --init "$work/vision/last.pt" --out "$work/first" --minutes "${FIRST_MINUTES:-45}" --batch 24 --decay 0.02 --freeze-vision \
    && touch "$work/first/done"; }
python3 train.py --data "$work"/{middle,long,minutes} --held-out "$work/held-long" --tokenizer "$tok" \
    --init "$work/first/last.pt" --out "$work/final" --minutes "${FINAL_MINUTES:-80}" --batch 24 --decay 0.6 --rate 1.5e-3 --tell 0.05
python3 export.py "$work/final/last.pt" "$tok" "$here/.." --check "$work/held-middle"
