"""How soon a page of `data look` is painted, and how smoothly it scrolls, as Chromium itself counts.

Pages of 480 and of 10,000 items are made by a recipe, and opened from disk in a headless Chromium, which draws with the
processor. First paint: PerformancePaintTiming of the page, from the beginning of its loading. Frames: those that came
onto the display while the page is scrolled a little before every frame that the browser is ready to draw, by Chromium's
trace. (A synthetic wheel turns in steps of its own, fewer than there can be frames.)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from browsing import TELEPHONE, WIDE, Chromium, Visit, running_chromium
from look_pages import make_look

ITEMS = (480, 10_000)
LEAST_FRAMES = 50.0
"""Frames a second to reach."""
MOST_SECONDS = 1.0
"""Until the first paint, to reach."""
SECONDS = 5.0
"""Of scrolling."""
SPEED = 4_000
"""Pixels a second, about five screens."""
CATEGORIES = [
    "cc",
    "benchmark",
    "blink.user_timing",
    "devtools.timeline.frame",
    "disabled-by-default-devtools.timeline",
]
SCROLL = """([seconds, speed]) => new Promise((done) => {
  performance.mark("scrolling begins");
  const begun = performance.now();
  const end = document.documentElement.scrollHeight - innerHeight;
  let before = begun;
  let direction = 1;
  const step = (now) => {
    if (scrollY >= end - 1) direction = -1;
    if (scrollY <= 0) direction = 1;
    scrollBy({top: direction * speed * Math.max(0, now - before) / 1000, behavior: "instant"});
    before = now;
    if (now - begun < 1000 * seconds) requestAnimationFrame(step);
    else {
      performance.mark("scrolling ends");
      done();
    }
  };
  requestAnimationFrame(step);
})"""
PAINT = "performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime / 1000)[0]"
SHOWN = "document.querySelectorAll('#cells .cell:not([hidden])').length"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder, running_chromium() as chromium:
        print(f"Chromium {chromium.running.version}, headless, drawing with the processor")
        for items in ITEMS:
            page = Path(folder) / str(items) / "index.html"
            make_look(page.parent, items)
            print(f"\n{items:,} items, page {page.stat().st_size / 1e6:.1f} MB")
            for size, touch in ((WIDE, False), (TELEPHONE, True)):
                measure(chromium, page, size, touch, repeats)


def measure(chromium: Chromium, page: Path, size: tuple[int, int], touch: bool, repeats: int) -> None:
    """Print medians of a window."""
    found = [visit(chromium, page, size, touch) for _ in range(repeats)]
    paint, rate, lacking, busy = (statistics.median(one[place] for one in found) for place in range(4))
    print(
        f"{size[0]:>5} px: first paint {paint:.2f} s (to reach {MOST_SECONDS:g}), {rate:.1f} frames/s (to reach "
        f"{LEAST_FRAMES:g}), {100 * lacking:.1f} % with parts not drawn yet, {busy:.2f} processors busy, "
        f"{found[0][4]} thumbnails in the document"
    )


def visit(chromium: Chromium, page: Path, size: tuple[int, int], touch: bool) -> tuple[float, float, float, float, int]:
    """Seconds to the first paint, what `frame_rate` says, and thumbnails in the document."""
    with chromium.visit(page, size, touch=touch) as visit:
        visit.page.wait_for_function("() => document.querySelector('#cells .cell')")
        paint = visit.page.wait_for_function(f"() => {PAINT}").json_value()
        visit.page.wait_for_timeout(500)
        rates = frame_rate(scrolled(chromium, visit))
        assert visit.page.evaluate("scrollY") > 0, "the page was not scrolled"
        return paint, *rates, visit.page.evaluate(SHOWN)


def scrolled(chromium: Chromium, visit: Visit) -> list[dict[str, Any]]:
    """The trace of scrolling the page."""
    chromium.running.start_tracing(page=visit.page, categories=CATEGORIES)
    visit.page.evaluate(SCROLL, [SECONDS, SPEED])
    return json.loads(chromium.running.stop_tracing())["traceEvents"]


def frame_rate(events: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Of the time of scrolling: frames that came onto the display per second, the share of frames with parts not drawn
    yet, and how many processors all threads of the browser kept busy, whatever else the machine did.
    """
    first, last = (
        next(each["ts"] for each in events if each["name"] == f"scrolling {moment}") for moment in ("begins", "ends")
    )
    within = [each for each in events if first <= each["ts"] <= last]
    shown = [each for each in within if each["name"] == "Display::FrameDisplayed"]
    reports = [each for each in within if each["name"] == "PipelineReporter" and each["ph"] == "b"]
    lacking = sum(each["args"]["frame_reporter"]["has_missing_content"] for each in reports)
    seconds = (last - first) / 1e6
    return len(shown) / seconds, lacking / len(reports), processor_seconds(events, first, last) / seconds


def processor_seconds(events: list[dict[str, Any]], first: float, last: float) -> float:
    """What the tasks of all threads took between two times of a trace."""
    tasks = [each for each in events if each["ph"] == "X" and "tdur" in each and first <= each["ts"] <= last]
    ordinary = [each for each in tasks if each["name"] == "RunTask"]
    threads = {(each["pid"], each["tid"]) for each in ordinary}
    # Threads that draw parts of the page run no tasks that are called so.
    drawing = [each for each in tasks if each["name"] == "RasterTask" and (each["pid"], each["tid"]) not in threads]
    return sum(each["tdur"] for each in [*ordinary, *drawing]) / 1e6


if __name__ == "__main__":
    main()
