#!/usr/bin/env bash
# Trains longsight-tiny from nothing: generates the clips, trains the three stages, exports, and checks against transformers.
# Use: run.sh WORK_DIR   (24 GB of disk; hours on 2 cores; needs `pip install torch==2.11.0 numpy
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
clips middle --clips 10000 --seconds-min 4  --seconds-max 16 --seed 200000
clips long   --clips 4000  --seconds-min 10 --seconds-max 60 --seed 400000
clips minutes --clips 300  --seconds-min 120 --seconds-max 600 --seed 600000 --sample-fps 1
clips boards --clips 24000 --boards --seed 800000
# Films of other shapes, as the product cuts them: what is 16:9 becomes 128 x 64 pixels.
shapes=(wide flat tall high)
sizes=("128x64 --ratios 1.7778,1.7778,1.85,2" "96x64 --ratios 1.3333,1.5" "64x128 --ratios 0.5625" "64x96 --ratios 0.75,0.6667")
many=(4 3 1 1)  # how often each is met
for n in 0 1 2 3; do
    shape=(--size ${sizes[n]})
    clips "boards-${shapes[n]}" --clips $((many[n] * 2500)) --boards --seed $((7000000 + n * 100000)) "${shape[@]}"
    clips "middle-${shapes[n]}" --clips $((many[n] * 1000)) --seconds-min 4 --seconds-max 16 --seed $((7500000 + n * 100000)) "${shape[@]}"
    clips "long-${shapes[n]}" --clips $((many[n] * 400)) --seconds-min 10 --seconds-max 60 --seed $((8000000 + n * 100000)) "${shape[@]}"
done
clips words  --clips 300   --seconds-min 10 --seconds-max 60 --seed 5000000
clips held-middle --split held-out --clips 64 --seconds-min 4  --seconds-max 16 --seed 200000
clips held-wide   --split held-out --clips 64 --seconds-min 4  --seconds-max 16 --seed 210000 --size ${sizes[0]}
clips held-long   --split held-out --clips 64 --seconds-min 10 --seconds-max 60 --seed 300000
cat "$work"/{words,short}/clips.jsonl >"$work/words.jsonl"
cd "$here"
[ -f "$work/tok/tokenizer.json" ] || python3 tokenizer.py "$work/words.jsonl" "$work/tok"
tok="$work/tok/tokenizer.json"
# Memory that glibc gives back after every step has to be cleared by the system before the next.
export MALLOC_MMAP_THRESHOLD_=$((1 << 32)) MALLOC_TRIM_THRESHOLD_=$((1 << 33))
# Minutes are processor time: other work on the machine makes it last longer, not end sooner.
[ -f "$work/vision/last.pt" ] || python3 pretrain.py --data "$work"/{short,boards,boards-{wide,flat,tall,high}} --held-out "$work/held-middle" --tokenizer "$tok" \
    --out "$work/vision" --minutes "${VISION_MINUTES:-30}"
# The tower speaks in words by now and stays as it is, while the language model learns to listen.
[ -f "$work/first/done" ] || { python3 train.py --data "$work"/{short,middle,long,middle-{wide,flat,tall,high}} --held-out "$work/held-middle" --tokenizer "$tok" \
    --init "$work/vision/last.pt" --out "$work/first" --minutes "${FIRST_MINUTES:-45}" --batch 24 --decay 0.02 --freeze-vision \
    && touch "$work/first/done"; }
python3 train.py --data "$work"/{middle,long,minutes,middle-{wide,flat,tall,high},long-{wide,flat,tall,high}} --held-out "$work/held-long" --tokenizer "$tok" \
    --init "$work/first/last.pt" --out "$work/final" --minutes "${FINAL_MINUTES:-80}" --batch 24 --decay 0.6 --rate 1.5e-3 --tell 0.05
python3 export.py "$work/final/last.pt" "$tok" "$here/.." --check "$work"/held-{middle,wide}
