"""How fast is the app, beside the same `complete`? In one run: sampling in turn, and a page in Chromium.

    python benchmarks/app.py                                                    starter-clips, 2 continuations
    python benchmarks/app.py --gpt runs/gpt --tokenizer runs/tokenizer --n 4

Sampling is timed in the app's worker while somebody watches, drawings included, and in turn with what `complete` does.
Then the app is started, its page opened in Chromium, and a person presses the button: how long until something is
seen, until the continuations are, how many updates a second there were, and how much memory the server took.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from playwright.sync_api import sync_playwright
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

COUNT = """() => { window.updates = 0; let last = null; new MutationObserver(() => {
  const seen = document.querySelector('#result .drawings img')?.src;
  if (seen && seen !== last) { last = seen; window.updates++; }
}).observe(document.querySelector('#result'), {subtree: true, childList: true, attributes: true}); }"""
"""Counts what is seen of the first continuation."""
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
    """Rounds of the comparison."""
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
                for name in ("first", "second"):
                    page.evaluate(COUNT)
                    began = time.perf_counter()
                    page.locator("#go").click()
                    page.wait_for_selector("#result .drawings")
                    seen = time.perf_counter() - began
                    page.wait_for_selector("#result .answer .scroll img")
                    done = time.perf_counter() - began
                    updates = page.evaluate("window.updates") / (done - seen)
                    page.wait_for_selector("#result h3")
                    maps = time.perf_counter() - began
                    print(
                        f"{name} press: tokens seen after {seen:.2f} s, continuations after {done:.2f} s, with maps "
                        f"after {maps:.2f} s; {updates:.1f} updates a second"
                    )
            print(f"the server's largest resident memory: {resident(app.pid) / 1e9:.2f} GB")
        finally:
            app.terminate()


def resident(process: int) -> int:
    """Return the largest resident memory that a process has had, in bytes (Linux)."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(tyro.cli(Options))
