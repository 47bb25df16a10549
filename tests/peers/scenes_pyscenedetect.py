"""Finds the same scenes with PySceneDetect and with `longsight bench scenes`, in turns, and prints the ratio of the medians.

    pip install scenedetect==0.7.2 opencv-python-headless
    python tests/peers/scenes_pyscenedetect.py target/release/longsight VIDEO... [--detector content] [--runs 3]

PySceneDetect runs as its command line does by default: OpenCV backend, automatic downscale, no frames skipped. The check before
any timing: at least 95 % of its cuts are found to within a frame, and 95 % of ours are its. A ratio above 1 means that longsight
is faster. On a busy machine look at the second ratio: processor seconds instead of seconds on the wall.
"""

import argparse
import json
import resource
import statistics
import subprocess
import time

from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video
import scenedetect

AGREEMENT = 0.95


def theirs(path, detector):
    """First frames of the scenes, without the first scene's, and how many frames were looked at."""
    video = open_video(path)
    manager = SceneManager()
    manager.add_detector({"content": ContentDetector, "adaptive": AdaptiveDetector}[detector]())
    frames = manager.detect_scenes(video)
    return [start.frame_num for start, _ in manager.get_scene_list()][1:], frames


def ours(binary, path, detector):
    listed = [binary, "scenes", path, "--json", "-q", "--detector", detector]
    return [scene["start_frame"] for scene in json.loads(subprocess.run(listed, check=True, capture_output=True).stdout)["scenes"]][1:]


def bench(binary, path, detector, runs):
    command = [binary, "bench", "scenes", path, "--json", "--detector", detector, "--runs", str(runs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["runs_s"]


def processor_seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def bench_processor_seconds(binary, path, detector, runs):
    """Of one run: the difference between commands that differ in nothing but the number of runs."""
    spent = []
    for count in (1, 1 + runs):
        before = processor_seconds(resource.RUSAGE_CHILDREN)
        bench(binary, path, detector, count)
        spent.append(processor_seconds(resource.RUSAGE_CHILDREN) - before)
    return (spent[1] - spent[0]) / runs


def agree(some, others):
    near = sum(any(abs(cut - other) <= 1 for other in others) for cut in some)
    return near >= AGREEMENT * len(some)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longsight")
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--detector", choices=["content", "adaptive"], default="content")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()

    for path in args.videos:
        cuts, frames = theirs(path, args.detector)
        found = ours(args.longsight, path, args.detector)
        if not (agree(cuts, found) and agree(found, cuts)):
            print(f"{path}: DIFFERENT CUTS: {found} against {cuts}")
        our_s, their_s, their_cpu = [], [], []
        for _ in range(args.runs):
            our_s += bench(args.longsight, path, args.detector, 1)
            started, spent = time.perf_counter(), processor_seconds(resource.RUSAGE_SELF)
            theirs(path, args.detector)
            their_s.append(time.perf_counter() - started)
            their_cpu.append(processor_seconds(resource.RUSAGE_SELF) - spent)
        our_cpu = bench_processor_seconds(args.longsight, path, args.detector, args.runs)
        a, b, c = statistics.median(our_s), statistics.median(their_s), statistics.median(their_cpu)
        spread = f"longsight {min(our_s):.3f}-{max(our_s):.3f}, PySceneDetect {min(their_s):.3f}-{max(their_s):.3f}"
        print(f"{path}: {frames} frames, {len(cuts)} cuts, longsight {a:.3f} s, PySceneDetect {scenedetect.__version__} {b:.3f} s, "
              f"ratio {b / a:.2f} ({spread})")
        print(f"    processor: longsight {our_cpu:.3f} s, PySceneDetect {c:.3f} s, ratio {c / our_cpu:.2f}", flush=True)


if __name__ == "__main__":
    main()
