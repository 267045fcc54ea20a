"""How fast is the app, beside the same `complete`? In one run: sampling in turn, and a page in Chromium.

    python benchmarks/app.py                                                    starter-clips, 2 continuations
    python benchmarks/app.py --gpt demo/gpt --tokenizer demo/tokenizer          the models of `make demo`

Sampling is timed in the app's worker while somebody watches, drawings included, and in turn with what `complete` does.
Then the app is started, its page opened in Chromium, and a person presses the button: how long until something is
seen, until the continuations are, how many updates a second there were, and how much memory the server took.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import tyro
from playwright.sync_api import Page, sync_playwright
from timing import medians

import secondsight
from sampling.complete import sample_items
from sampling.options import Prompt, SamplingOptions
from viewing.app.asking import Answer, Look, Question, ask_all, prepare
from viewing.app.examples import make_examples, prompt_kinds
from viewing.app.jobs import Job, Worker
from viewing.app.models import Pair, load_models
from viewing.app.options import AppOptions
from viewing.app.pictures import CodePatches
from viewing.app.showing import looks_html

WATCH = """() => {
  const times = {updates: 0};
  const now = () => performance.now() / 1000;
  let last = null;
  const painted = (image, name) => image.decode().then(() => requestAnimationFrame(() => requestAnimationFrame(
    () => { times[name] = now() - times.click; })));
  document.querySelector('#go').addEventListener('click', () => { times.click = now(); }, {once: true});
  const watching = new MutationObserver(() => {
    if (times.click === undefined) return;
    const drawing = document.querySelector('#result .drawings img');
    if (drawing && drawing.src !== last) {
      if (last === null) painted(drawing, 'seen');
      last = drawing.src;
      times.updates++;
    }
    const still = document.querySelector('#result .answer .scroll img');
    if (last !== null && still && !times.found) { times.found = true; painted(still, 'done'); }
    if (last !== null && document.querySelector('#result h3')) {
      times.maps = now() - times.click;
      watching.disconnect();
    }
  });
  watching.observe(document.querySelector('#result'), {subtree: true, childList: true, attributes: true});
  window.times = times;
}"""
"""Notes by the page's own clock, in seconds since the click, when things are painted. Who asks from outside the browser
is answered up to half a second later."""
PATIENCE = 300_000
"""Milliseconds."""


@dataclass(frozen=True)
class Options:
    """What is asked."""

    gpt: Path = Path("starter-clips")
    """The model."""
    tokenizer: Path = Path("starter-clips")
    """Its tokenizer."""
    n: int = 2
    """Continuations."""
    runs: int = 5
    """Rounds of the comparison, and presses of the button after the first."""
    browser: str = "/usr/bin/chromium"
    """A Chromium."""


def main(options: Options) -> None:
    """Measure, and print."""
    (pair,) = load_models(AppOptions(gpt=(options.gpt,), tokenizer=(options.tokenizer,))).pairs
    with tempfile.TemporaryDirectory() as folder:
        compare_sampling(pair, options, Path(folder))
    press_the_button(options)


def compare_sampling(pair: Pair, options: Options, folder: Path) -> None:
    """Print how long sampling takes in the app and in `complete`, in turn."""
    (example,) = make_examples(folder, pair.clip_format, 1)
    kind = prompt_kinds(example, pair.clip_format)[0]
    prompt = Prompt(kind, pair.grid[0] // 2 if kind == "frames" else 0.5)
    question = Question(example, prompt, options.n, SamplingOptions(**pair.settings.flat()), 0)
    patches = {pair.name: CodePatches(pair.tokenizer)}
    worker = Worker(600.0)
    inside: list[float] = []

    def in_the_app() -> None:
        job: Job[Look, list[Answer]] = worker.start(lambda job: ask_all([pair], question, job))
        for look in job.watch():
            looks_html([look], patches)
        inside.append(job.result()[0].seconds)

    clips = example.read(pair.clip_format)
    work = prepare(pair, question, clips)
    outside: list[float] = []

    def in_complete() -> None:
        began = time.perf_counter()
        sample_items(work, work.items, clips)
        outside.append(time.perf_counter() - began)

    medians({"app": in_the_app, "complete": in_complete}, options.runs)
    ratios = sorted(app / alone for app, alone in zip(inside[1:], outside[1:], strict=True))
    print(f"sampling {options.n} continuations, {options.runs} rounds in turn, {torch.get_num_threads()} threads")
    print(f"  complete {min(outside[1:]):.2f} s, app {min(inside[1:]):.2f} s (fastest rounds)")
    print(f"  app / complete: median {ratios[len(ratios) // 2]:.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


def press_the_button(options: Options) -> None:
    """Print what somebody who presses the button waits for."""
    words = ["app", "--gpt", str(options.gpt), "--tokenizer", str(options.tokenizer), "--port", "0"]
    with subprocess.Popen([sys.executable, secondsight.__file__, *words], stdout=subprocess.PIPE, text=True) as app:
        try:
            assert app.stdout is not None
            address = next(line.split()[1] for line in app.stdout if line.startswith("open "))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
                page = browser.new_page()
                page.set_default_timeout(PATIENCE)
                page.goto(address)
                page.wait_for_selector("figure.given img")
                page.wait_for_selector("#go")
                presses = [_press(page) for _ in range(1 + options.runs)]
            _print_press("first press", presses[0])
            typical = {name: median(times[name] for times in presses[1:]) for name in presses[0]}
            _print_press(f"median of {options.runs} more", typical)
            print(f"the server's largest resident memory: {resident(app.pid) / 1e9:.2f} GB")
        finally:
            app.terminate()


def _press(page: Page) -> dict[str, float]:
    """Press the button, and return after how many seconds what is seen is painted, and updates a second."""
    page.evaluate(WATCH)
    page.locator("#go").click()
    page.wait_for_function("window.times.maps && window.times.done")
    times: dict[str, float] = page.evaluate("window.times")
    return {
        **{name: times[name] for name in ("seen", "done", "maps")},
        "rate": times["updates"] / (times["done"] - times["seen"]),
    }


def _print_press(name: str, times: Mapping[str, float]) -> None:
    print(
        f"{name}: tokens seen after {times['seen']:.2f} s, continuations after {times['done']:.2f} s, with maps after "
        f"{times['maps']:.2f} s; {times['rate']:.1f} updates a second"
    )


def resident(process: int) -> int:
    """Return the largest resident memory that a process has had, in bytes (Linux)."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(tyro.cli(Options))
