"""Hands the scenes of a video and an answer about it to the readers that users have, and fails where one does not take them.

    pip install opentimelineio otio-cmx3600-adapter playwright webvtt-py
    python tests/peers/handover_readers.py target/release/longsight VIDEO QUESTION --chromium /usr/bin/chromium

VIDEO has a frame rate that SMPTE knows (24, 25, 30, ...: timecodes of others are refused by OpenTimelineIO's EDL reader), and
QUESTION is answered with a time. Checked: OpenTimelineIO reads the same clips from the edit list and from its own format; the
WebVTT and SubRip readers find as many cues as there are spans; in Chromium the page loads nothing but itself and the video, and
a click on a span, as a card and on the time line, moves the player to it.
"""

import argparse
import pathlib
import subprocess
import tempfile

import opentimelineio
import webvtt
from playwright.sync_api import sync_playwright

# Seconds from a span's start that the player may be past it when it is looked at.
PATIENCE = 2.0


def write(arguments, command, name, folder):
    path = folder / f"{command[0]}.{name}"
    out = ["--format", name, "--out", str(path), "-q"]
    subprocess.run([arguments.longsight, command[0], arguments.video, *command[1:], *out], check=True)
    return path


def clips(path, rate=None):
    options = {"rate": rate} if path.suffix == ".edl" else {}
    timeline = opentimelineio.adapters.read_from_file(str(path), **options)
    # An edit list counts at a whole rate, so that frames are compared, not seconds.
    return [(int(clip.source_range.start_time.value), int(clip.source_range.duration.value)) for clip in timeline.find_clips()]


def check_page(page, path, video):
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.resolve().as_uri())
    player = page.locator("video")
    page.wait_for_function("document.querySelector('video').readyState >= 1")
    for spans in [".spans button", ".timeline .mark, .timeline .scene"]:
        span = page.locator(spans).last
        start = float(span.get_attribute("data-start"))
        player.evaluate("player => { player.pause(); player.currentTime = 0 }")
        span.click()
        page.wait_for_timeout(500)
        now = player.evaluate("player => player.currentTime")
        assert start <= now < start + PATIENCE, f"{path}: {spans}: at {now}, not {start}"
    expected = {path.resolve().as_uri(), pathlib.Path(video).resolve().as_uri()}
    assert set(requests) <= expected, f"{path}: {set(requests) - expected}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longsight")
    parser.add_argument("video")
    parser.add_argument("question")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        # Chromium's own sandbox needs what containers do not give.
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        for command in [["scenes"], ["ask", arguments.question]]:
            otio = write(arguments, command, "otio", folder)
            rate = next(iter(opentimelineio.adapters.read_from_file(str(otio)).find_clips())).source_range.duration.rate
            spans = clips(otio)
            edits = clips(write(arguments, command, "edl", folder), round(rate))
            assert len(edits) == len(spans) > 0, f"{command[0]}: {edits} {spans}"
            for edit, span in zip(edits, spans):
                assert all(abs(a - b) <= 1 for a, b in zip(edit, span)), f"{command[0]}: {edit} {span}"
            for name, read in [("vtt", webvtt.read), ("vtt-chapters", None), ("srt", webvtt.from_srt)]:
                path = write(arguments, command, name, folder)
                named = path.with_suffix(".srt" if name == "srt" else ".vtt")
                named.write_bytes(path.read_bytes())
                cues = (read or webvtt.read)(str(named))
                assert len(cues) == len(spans), f"{path}: {len(cues)} cues"
            check_page(browser.new_page(), write(arguments, command, "html", folder), arguments.video)
            print(f"{command[0]}: {len(spans)} spans, read by all")
        browser.close()


if __name__ == "__main__":
    main()
