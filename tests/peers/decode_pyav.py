"""Decodes the same frames with PyAV and with `longsight bench decode`, in turns, and prints the ratio of the medians.

    python tests/peers/decode_pyav.py target/release/longsight VIDEO... [--fps 2] [--size WxH] [--runs 5] [--all]

Both take the frames shown at t0 + k / fps (or with --all every frame), in presentation order, as interleaved 8-bit RGB.
PyAV walks the file with frame threads (`thread_type = "AUTO"`), converts the chosen frames with its own reformatter
(bilinear unless --bicubic) and, for native size, hands out NumPy arrays: its usual way. The check before any timing: the times of the frames are
the same on both sides. A ratio above 1 means that longsight is faster. On a busy machine look at the second ratio: processor
seconds instead of seconds on the wall.
"""

import argparse
import json
import resource
import statistics
import subprocess
import time

import av


def sampled(path, fps, size, everything, bicubic):
    """Times of the chosen frames, after making each a picture."""
    times = []
    with av.open(path) as container:
        stream = next(s for s in container.streams.video if not s.disposition.value & 1024)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 0
        base, start, taken, held = stream.time_base, None, 0, None

        def take(frame):
            if size:
                width, height = size
                interpolation = "BICUBIC" if bicubic else "BILINEAR"
                frame = frame.reformat(width=width, height=height, format="rgb24", interpolation=interpolation)
            frame.to_ndarray(format="rgb24")
            times.append(frame.pts)

        for frame in container.decode(stream):
            now = float(frame.pts * base)
            if everything:
                take(frame)
                continue
            start = now if start is None else start
            # The frame before this one is shown until now: is there a sample in between?
            if held is not None and start + taken / fps < now - 1e-6:
                take(held)
                while start + taken / fps < now - 1e-6:
                    taken += 1
            held = frame
        if held is not None and not everything:
            end = float(held.pts * base) + float((held.duration or 0) * base)
            if start + taken / fps < end - 1e-6:
                take(held)
    return times


def longsight(binary, path, fps, size, everything, runs):
    command = [binary, "bench", "decode", path, "--json", "--runs", str(runs)]
    command += ["--fps", "1e9" if everything else str(fps)]
    command += ["--size", f"{size[0]}x{size[1]}"] if size else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def processor_seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def longsight_processor_seconds(binary, path, fps, size, everything, runs):
    """Of one run: the difference between commands that differ in nothing but the number of runs."""
    spent = []
    for count in (1, 1 + runs):
        before = processor_seconds(resource.RUSAGE_CHILDREN)
        longsight(binary, path, fps, size, everything, count)
        spent.append(processor_seconds(resource.RUSAGE_CHILDREN) - before)
    return (spent[1] - spent[0]) / runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longsight")
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--size", help="WxH of the pictures; give the video's own shape")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--all", action="store_true", help="every frame")
    parser.add_argument("--bicubic", action="store_true", help="scale with PyAV's bicubic, longsight's quality")
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x")) if args.size else None

    for path in args.videos:
        listed = [args.longsight, "frames", path, "--json", "-q", "--fps", "1e9" if args.all else str(args.fps)]
        ours_times = [f["pts"] for f in json.loads(subprocess.run(listed, check=True, capture_output=True).stdout)["frames"]]
        theirs_times = sampled(path, args.fps, size, args.all, args.bicubic)
        if ours_times != theirs_times:
            print(f"{path}: DIFFERENT FRAMES: {len(ours_times)} against {len(theirs_times)}")
        ours, theirs, theirs_cpu = [], [], []
        for _ in range(args.runs):
            ours += longsight(args.longsight, path, args.fps, size, args.all, 1)["runs_s"]
            started, spent = time.perf_counter(), processor_seconds(resource.RUSAGE_SELF)
            sampled(path, args.fps, size, args.all, args.bicubic)
            theirs.append(time.perf_counter() - started)
            theirs_cpu.append(processor_seconds(resource.RUSAGE_SELF) - spent)
        ours_cpu = longsight_processor_seconds(args.longsight, path, args.fps, size, args.all, args.runs)
        a, b, c = statistics.median(ours), statistics.median(theirs), statistics.median(theirs_cpu)
        spread = f"longsight {min(ours):.3f}-{max(ours):.3f}, PyAV {min(theirs):.3f}-{max(theirs):.3f}"
        print(f"{path}: {len(ours_times)} frames, longsight {a:.3f} s, PyAV {av.__version__} {b:.3f} s, ratio {b / a:.2f} ({spread})")
        print(f"    processor: longsight {ours_cpu:.3f} s, PyAV {c:.3f} s, ratio {c / ours_cpu:.2f}")


if __name__ == "__main__":
    main()
