"""Where the time of `secondsight physics run` goes: in GPTs, in encoding, in what is around them.

    python benchmarks/physics_profile.py                                # 1,000 films of 2 s, one `alef`
    python benchmarks/physics_profile.py --films 100 --checkpoints 2    # two of one training: encoded once for both

Films are of noise with a square that is there, or not, before and after an event: what they show does not matter here.
The tokenizer is that of starter-clips; GPTs have weights that have learned nothing, which changes nothing of the time.
The untrained control is one GPT more.
"""

from __future__ import annotations

import cProfile
import inspect
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from data.video_writing import write_video
from experiments.physics import encoding, experiment, models, surprise
from experiments.physics.checks import check_set
from experiments.physics.manifest import Film, Version, write_manifest
from experiments.physics.options import PhysicsRunOptions
from gpt.config import PRESETS
from gpt.model import GPT
from vqgan.model import load_tokenizer

TOKENIZER = Path("starter-clips")
SIDE, FRAMES, FPS = 64, 16, 8.0
LETTERS: tuple[Version, ...] = ("A", "B")
STAGES: dict[str, Callable[..., Any]] = {
    "loading and measuring GPTs, files included": experiment._measure_all,
    "reading and checking films": check_set,
    "encoding, controls included": encoding.encode_films,
    "scores": experiment._score_all,
    "tables": experiment._write,
}
"""What is measured, by name."""


@dataclass
class Options:
    """Profile a run."""

    films: int = 1000
    """Films, in quadruples."""
    gpt: str = "alef"
    """Preset of the GPTs."""
    checkpoints: int = 1
    """GPTs."""


def main(options: Options) -> None:
    """Print seconds and shares of the stages of a run."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_films(root / "films", options.films // len(LETTERS) ** 2)
        gpts = tuple(_write_gpts(root, options))
        run = PhysicsRunOptions(films=root / "films", tokenizer=TOKENIZER, gpt=gpts, out=root / "out", least_kept=0)
        profile = cProfile.Profile()
        with _timed_gpts() as in_gpts:
            profile.runcall(experiment.run_physics, run)
    _print(profile, sum(in_gpts) / torch.get_num_threads(), options)


@contextmanager
def _timed_gpts() -> Iterator[list[float]]:
    """Yield a list that gets the seconds of every pass of a GPT over a film: several pass side by side, unseen by
    cProfile.
    """
    seconds: list[float] = []
    nats = surprise.SurpriseMeter.nats

    def timed(meter: surprise.SurpriseMeter, grid: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        try:
            return nats(meter, grid)
        finally:
            seconds.append(time.perf_counter() - began)

    surprise.SurpriseMeter.nats = timed  # type: ignore[assignment, method-assign]
    try:
        yield seconds
    finally:
        surprise.SurpriseMeter.nats = nats  # type: ignore[method-assign]


def _write_films(folder: Path, scenes: int) -> None:
    folder.mkdir()
    films = []
    for scene in range(scenes):
        chance = np.random.default_rng(scene)
        ground = torch.from_numpy(chance.uniform(-1, 0, (3, 1, SIDE, SIDE)).astype("float32"))
        for beginning, ending in product(LETTERS, LETTERS):
            clip = ground.repeat(1, FRAMES, 1, 1)
            shown = [(beginning if frame < FRAMES // 2 else ending) == "A" for frame in range(FRAMES)]
            clip[:, torch.tensor(shown), 20:44, 20:44] = 0.8
            name = f"{scene}_{beginning}{ending}.mp4"
            write_video(folder / name, clip, FPS, lossless=True)
            film = Film(name, str(scene), str(scene), "permanence", hidden=False, possible=beginning == ending)
            films.append(replace(film, beginning=beginning, ending=ending, event_s=FRAMES / 2 / FPS))
    write_manifest(folder / "manifest.csv", films)


def _write_gpts(root: Path, options: Options) -> Iterator[Path]:
    tokenizer = load_tokenizer(TOKENIZER)
    grid = tokenizer.grid(FRAMES, SIDE, SIDE)
    config = replace(PRESETS[options.gpt], grid=grid, vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.fingerprint)
    for number in range(options.checkpoints):
        torch.manual_seed(number)
        path = root / f"gpt_{number}"
        GPT(config).save_pretrained(path)
        yield path


def _print(profile: cProfile.Profile, in_gpts: float, options: Options) -> None:
    stats = pstats.Stats(profile)
    whole: float = stats.total_tt  # type: ignore[attr-defined]
    stages = {name: _seconds(stats, function) for name, function in STAGES.items()}
    rows = {"in GPTs": in_gpts, **stages, "all": whole}
    print(f"{options.films} films, {options.checkpoints} x {options.gpt} and the control {models.UNTRAINED}")
    for name, seconds in rows.items():
        print(f"{name:46s} {seconds:9.1f} s {100 * seconds / whole:6.1f} %")


def _seconds(stats: pstats.Stats, function: Callable[..., Any]) -> float:
    """Return the seconds spent in a function and in all that it calls."""
    code = inspect.unwrap(function).__code__  # within decorators, which others share
    key = code.co_filename, code.co_firstlineno, code.co_name
    return float(stats.stats[key][3])  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
