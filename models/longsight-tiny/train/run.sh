#!/usr/bin/env bash
# Trains longsight-tiny from nothing: generates the clips, trains the three stages, exports, and checks against transformers.
# Use: run.sh WORK_DIR   (about 8 GB of disk; two hours on 2 shared cores; needs `pip install torch==2.11.0 numpy tokenizers
# safetensors`, and transformers==5.23.0 with torchvision==0.26.0 for the check)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$1
mkdir -p "$work"
(cd "$root" && cargo build --release)
world="$root/target/release/world"
clips() { [ -f "$work/$1/clips.jsonl" ] || "$world" export --out "$work/$1" --jobs "$(nproc)" "${@:2}"; }
# Seeds of a split are unrelated to the same seeds of the other.
clips short  --clips 14000 --seconds-min 1  --seconds-max 4
clips middle --clips 4000  --seconds-min 4  --seconds-max 16 --seed 200000
clips long   --clips 2250  --seconds-min 10 --seconds-max 60 --seed 400000
clips words  --clips 300   --seconds-min 10 --seconds-max 60 --seed 5000000
clips held-middle --split held-out --clips 64 --seconds-min 4  --seconds-max 16 --seed 200000
clips held-long   --split held-out --clips 40 --seconds-min 10 --seconds-max 60 --seed 300000
cat "$work"/{short,words}/clips.jsonl >"$work/words.jsonl"
cd "$here"
[ -f "$work/tok/tokenizer.json" ] || python3 tokenizer.py "$work/words.jsonl" "$work/tok"
tok="$work/tok/tokenizer.json"
# Minutes are wall-clock: a slower or busier machine wants more of them.
[ -f "$work/vision/last.pt" ] || python3 pretrain.py --data "$work/short" --tokenizer "$tok" --out "$work/vision" --minutes "${VISION_MINUTES:-10}"
[ -f "$work/first/done" ] || { python3 train.py --data "$work"/{short,middle} --held-out "$work/held-middle" --tokenizer "$tok" \
    --init "$work/vision/last.pt" --out "$work/first" --minutes "${FIRST_MINUTES:-14}" --batch 16 --decay 0.05 && touch "$work/first/done"; }
python3 train.py --data "$work"/{short,middle,long} --held-out "$work/held-long" --tokenizer "$tok" \
    --init "$work/first/last.pt" --out "$work/second" --minutes "${SECOND_MINUTES:-36}" --batch 16
python3 export.py "$work/second/last.pt" "$tok" "$here/.." --check "$work/held-middle"
