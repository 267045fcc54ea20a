"""Who is surprised: GPTs, observers and controls, by name, each of which gives a number to every token of a film.

Axes: t latent frames, h rows, w columns of a token grid.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.physics.controls import CONTROLS
from experiments.physics.encoding import EncodedFilm
from experiments.physics.surprise import SurpriseMeter, to_bits
from experiments.physics.tables import ModelRow, Role
from gpt.config import GPTConfig, MismatchError
from gpt.model import GPT
from gpt.trained_on import TrainedOn
from storage.arrays import load_arrays, save_arrays
from storage.checked_files import read_json
from storage.checksums import fingerprint
from storage.model_paths import find_of_kind
from storage.records import digest_of
from training.parallel import side_by_side
from training.progress import Progress
from vqgan.tokenizer import Tokenizer

UNTRAINED = "untrained"
"""Name of the GPT that has learned nothing."""
RESERVED = frozenset((UNTRAINED, *CONTROLS, "people"))
"""Names of controls, and of people in reports."""


@dataclass(frozen=True)
class Measured:
    """The surprise of all films under one model."""

    row: ModelRow
    surprise: list[Tensor]
    """(t, h, w) float32 of each film, in the unit of the model."""
    files: list[str]
    """Where the array of each film is, relative to the run folder."""
    localised: bool = True
    """Whether the tokens of a latent frame are told apart."""
    timed: bool = True
    """Whether latent frames are told apart."""

    def nats(self, index: int) -> float | None:
        """Return the mean surprise of a film in nats per token; None without a likelihood."""
        return float(self.surprise[index].double().nanmean()) * math.log(2) if self.row.parameters else None


def names_of(gpts: Sequence[Path], controls: Sequence[Path] = (), observers: Sequence[Path] = ()) -> list[str]:
    """Return a name for each model: the last parts of its path, as many as tell it from the others and from controls.

    Args:
        gpts: of `--gpt`.
        controls: of `--control-gpt`.
        observers: of `--observer`; the parts of a path are those of the name of a module, the last is the class.

    Raises:
        ValueError: one is given twice.
    """
    flags = ["--gpt"] * len(gpts) + ["--control-gpt"] * len(controls) + ["--observer"] * len(observers)
    paths = [*gpts, *controls, *observers]
    parts = [path.parts if path.name else path.resolve().parts for path in paths]
    for index, own in enumerate(parts):
        if own in parts[:index]:
            raise ValueError(f"{flags[index]} {paths[index]} is given twice: name each model once")
    names = []
    for own in parts:
        others = [of for of in parts if of != own]
        length = 1
        while length < len(own) and (
            any(of[-length:] == own[-length:] for of in others) or "-".join(own[-length:]) in RESERVED
        ):
            length += 1
        names.append("-".join(own[-length:]).replace("/", "-").replace(":", "-"))
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names, start=1)]


def check_gpt_of(path: Path, tokenizer: Tokenizer, grid: tuple[int, int, int]) -> GPTConfig:
    """Return the config of a GPT, which is refused if it does not know the tokens of the tokenizer.

    Args:
        path: of the GPT.
        tokenizer: of the films.
        grid: of a film; it may have more latent frames than the GPT's window.

    Raises:
        MismatchError: it is of other tokens.
        CheckpointError: there is no GPT.
    """
    content = read_json(find_of_kind(path, GPT.kind) / "config.json", "config of a GPT")
    config: GPTConfig = GPT.read_config(content, path)
    frames = grid[0] if config.grid[0] > 1 else 1
    try:
        config.check_tokens((frames, *grid[1:]), tokenizer.vocab_size, tokenizer.fingerprint, longer=True)
    except MismatchError as error:
        raise MismatchError(f"{path}: {error}") from error
    return config


def make_untrained(config: GPTConfig, seed: int) -> GPT:
    """Return a GPT that has learned nothing: the same seed gives the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GPT(config).eval()


def measure_gpt(
    name: str,
    role: Role,
    gpt: GPT,
    films: Sequence[EncodedFilm],
    overlap: int | None,
    out: Path,
    known: TrainedOn | None = None,
) -> Measured:
    """Return the surprise of films under a GPT in bits, measured or read from what is finished in `out`.

    Args:
        name: of the GPT.
        role: of it.
        gpt: on its device.
        films: that are measured.
        overlap: latent frames of context in later windows.
        out: run folder.
        known: what it was trained on; None if that is nothing.
    """
    own = fingerprint(gpt.description, gpt.state_dict())
    meter = SurpriseMeter(gpt, overlap)
    row = ModelRow(
        model=name,
        role=role,
        unit="bits",
        parameters=sum(parameter.numel() for parameter in gpt.parameters()),
        window=gpt.config.grid[0],
        fingerprint=own,
        film_hours=known.film_hours if known else None,
        seen_hours=known.seen_hours if known else None,
        step=known.step if known else None,
    )

    def measure(film: EncodedFilm) -> Tensor:
        path = out / array_file(name, film)
        identity = digest_of([own, overlap, hashlib.sha256(film.tokens.numpy().tobytes()).hexdigest()])
        kept = read_finished(path, identity)
        if kept is None:
            kept = {"surprise": to_bits(meter.nats(film.tokens.to(gpt.device))).numpy()}
            save_arrays(path, kept, identity)
        return torch.from_numpy(kept["surprise"])

    surprise = []
    with Progress(f"Measuring {name}", len(films)) as progress:
        for done, measured in enumerate(side_by_side(measure, films, gpt.device), start=1):
            surprise.append(measured)
            progress.show(done)
    return Measured(row, surprise, [array_file(name, film) for film in films])


def take_controls(films: Sequence[EncodedFilm], out: Path) -> list[Measured]:
    """Return what controls say of films, and write it as the surprise of GPTs is."""
    measured = []
    for name, control in CONTROLS.items():
        row = ModelRow(name, "control", control.unit, parameters=None, window=None, fingerprint="")
        surprise = [film.controls[name] for film in films]
        files = [array_file(name, film) for film in films]
        for file, values in zip(files, surprise, strict=True):
            save_arrays(out / file, {"surprise": values.numpy()})
        measured.append(Measured(row, surprise, files, control.localised))
    return measured


def array_file(name: str, film: EncodedFilm) -> str:
    """Return where the surprise of a film to a model is kept, relative to the run folder."""
    return f"surprise/{name}/{film.checked.digest[:16]}.npz"


def read_finished(path: Path, identity: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of what is finished; None where it is not, or is of something else, which is said."""
    try:
        return {name: np.ascontiguousarray(array) for name, array in load_arrays(path, identity).items()}
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"{path} is damaged, or of another model or film ({error}): it is made again", file=sys.stderr)
        return None
