"""Observers of likelihood: anybody's model that says how surprising it finds the frames, or the pixels, of a film.

Axes: T frames, H rows, W columns of a film; t, h, w of its token grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from data.clips import as_clip
from experiments.observers import ObserverError, failing_as, load_observer, parse_observer
from experiments.physics.checks import CheckedFilm
from experiments.physics.encoding import EncodedFilm, latent_frames_of
from experiments.physics.leak import LeakError
from experiments.physics.models import Measured, array_file, read_finished
from experiments.physics.places import Scale, cell_means
from experiments.physics.tables import ModelRow
from storage.arrays import save_arrays
from storage.records import digest_of
from storage.terminal import count
from training.progress import Progress
from vqgan.tokenizer import Tokenizer

FILMS = 4
"""Films on which it is measured whether an observer looks ahead, at most."""
SAME = 1e-4
"""Share of a surprise below which a difference is one of rounding."""
NOT_STATED = "not stated"
"""The unit of surprise where an observer or a table does not say it."""


class FilmObserver(Protocol):
    """A model that judges films.

    It may have an attribute `unit`, a word for what its surprise is in, and `fingerprint`, a text that changes with
    everything that changes its surprise: with one, what is finished is not measured again when a run goes on.
    """

    def surprise(self, film: Tensor) -> Tensor:
        """Return how surprising a film is, larger for more, best of all minus the logarithm of a likelihood.

        Args:
            film: (3, T, H, W) float32 in [-1, 1], at the rate and size of the tokenizer.

        Returns:
            (T,) of each frame, or (T, H, W) of each pixel, given all that came before; NaN where it does not judge.
        """


class NamedObserver(NamedTuple):
    """An observer, and the name that its rows have."""

    name: str
    observer: FilmObserver

    @property
    def unit(self) -> str:
        """What its surprise is in."""
        return str(getattr(self.observer, "unit", NOT_STATED))

    @property
    def fingerprint(self) -> str:
        """What it is known by; empty where it says nothing."""
        return str(getattr(self.observer, "fingerprint", ""))

    def judge(self, film: Tensor) -> Tensor:
        """Return the surprise at a film (3, T, H, W): (T,) or (T, H, W) float32, on the CPU.

        Raises:
            ObserverError: the observer fails, or returns something else.
        """
        with torch.no_grad(), failing_as(f"observer {self.name} failed at a film of {tuple(film.shape)}"):
            given = self.observer.surprise(film.clone())
        try:
            judged = torch.as_tensor(given).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ObserverError(
                f"observer {self.name} returned a {type(given).__name__}, no tensor: {error}"
            ) from error
        if judged.is_complex():
            raise ObserverError(f"observer {self.name} returned complex numbers: surprise is real")
        judged = judged.float().cpu()
        shapes = (film.shape[1:2], film.shape[1:])
        if judged.shape not in shapes:
            raise ObserverError(
                f"observer {self.name} returned surprise of shape {tuple(judged.shape)} for a film of "
                f"{tuple(film.shape)}: it must be {tuple(shapes[0])}, a number for each frame, or {tuple(shapes[1])}"
            )
        if judged.isinf().any():
            raise ObserverError(
                f"observer {self.name} returned infinite surprise: give NaN where it does not judge, finite numbers "
                "elsewhere"
            )
        return judged


def make_observers(named: Sequence[str], names: Sequence[str]) -> list[NamedObserver]:
    """Make the observers that `--observer` names, to be called by other names.

    Raises:
        ObserverError: one cannot be made: see `load_observer`.
    """
    return [NamedObserver(name, load_observer(each, "surprise")) for each, name in zip(named, names, strict=True)]


def observer_path(named: str) -> Path:
    """Return `module:Class` as a path, of whose end a name can be made."""
    module, name = parse_observer(named)
    return Path(*module.split("."), name)


def describe_causality(
    observer: NamedObserver, films: Sequence[CheckedFilm], tokenizer: Tokenizer, strict: bool
) -> str:
    """Return in words whether the surprise of first halves depends on second halves, as measured on some films.

    Args:
        observer: that is measured.
        films: in an order that does not depend on names; the first are taken.
        tokenizer: says at which rate and size films are shown.
        strict: refuse an observer that looks ahead, or of which that cannot be measured.

    Raises:
        LeakError: it is such an observer.
        ObserverError: it returns what is no surprise.
    """
    found = [_changes(observer, film, tokenizer) for film in films[:FILMS]]
    halves = [half for half in found if half is not None]
    name = observer.name
    share = float(torch.cat([half.ahead for half in halves]).double().mean()) if halves else 0.0
    unknown = "so that it cannot be measured whether it looks ahead"
    if not halves:
        said = f"{name} saw films of one latent frame, {unknown}"
    elif any(half.noisy for half in halves):
        said = f"{name} says another surprise when it sees the same film again, {unknown}"
    elif share:
        said = f"{name} is not causal: {100 * share:.1f} % of the surprise at first halves knows the second half"
    else:
        return f"{name}: on {count(len(halves), 'film')} no surprise at a first half depended on the second half"
    if strict:
        raise LeakError(f"observer {said}: give a causal observer, or leave out --strict to measure all the same")
    return f"{said}; surprise may come before the event"


def measure_observer(observer: NamedObserver, films: Sequence[EncodedFilm], out: Path) -> Measured:
    """Return the surprise of films to an observer, measured or read from what is finished in `out`.

    Without a fingerprint nobody knows whether the observer is still the same, so that all is measured anew.

    Raises:
        MediaError: a film cannot be decoded any more.
        ObserverError: the observer fails, returns what is no surprise, judges no film, or returns numbers of frames
            for some films and of pixels for others.
    """
    surprise = []
    files = []
    localised = set()
    with Progress(f"Measuring {observer.name}", len(films)) as progress:
        for done, film in enumerate(films, start=1):
            file = array_file(observer.name, film)
            cells, by_place = _measured(observer, film, out / file)
            localised.add(by_place)
            surprise.append(cells)
            files.append(file)
            progress.show(done)
    if len(localised) > 1:
        raise ObserverError(
            f"observer {observer.name} returned a number for each frame of some films and for each pixel of others: "
            "return one kind"
        )
    if all(cells.isnan().all() for cells in surprise):
        raise ObserverError(f"observer {observer.name} judged no frame of any film: its surprise is NaN everywhere")
    row = ModelRow(
        model=observer.name,
        role="observer",
        unit=observer.unit,
        parameters=None,
        window=None,
        fingerprint=observer.fingerprint,
    )
    return Measured(row, surprise, files, localised=True in localised)


class _Halves(NamedTuple):
    """What two more looks at a film tell of its first half."""

    ahead: Tensor
    """(N,) bool: which numbers are others when the second half is another."""
    noisy: bool
    """Whether one is another when nothing is."""


def _changes(observer: NamedObserver, film: CheckedFilm, tokenizer: Tokenizer) -> _Halves | None:
    latent_frames = latent_frames_of(film.footage, tokenizer)
    if latent_frames < 2:
        return None
    clip = as_clip(film.footage.clip(tokenizer.frames_of(latent_frames), tokenizer.fps, tokenizer.size))
    shown = tokenizer.frames_of(latent_frames // 2)
    other = torch.cat([clip[:, :shown], -clip[:, shown:]], dim=1)
    first, again, after = (observer.judge(each)[:shown].flatten() for each in (clip, clip, other))
    return _Halves(_differ(first, after), bool(_differ(first, again).any()))


def _differ(one: Tensor, other: Tensor) -> Tensor:
    return ~torch.isclose(one, other, rtol=SAME, atol=SAME * SAME, equal_nan=True)


def _measured(observer: NamedObserver, film: EncodedFilm, path: Path) -> tuple[Tensor, bool]:
    """Return the surprise (t, h, w) of a film, and whether the tokens of a latent frame are told apart."""
    scale = film.scale
    seen = [film.checked.digest, scale.frames[-1], scale.fps, scale.size]
    identity = digest_of(["observer", observer.fingerprint, seen]) if observer.fingerprint else ""
    kept = read_finished(path, identity) if identity else None
    if kept is not None:
        return torch.from_numpy(kept["surprise"]), bool(kept["localised"])
    judged = observer.judge(as_clip(film.checked.footage.clip(scale.frames[-1], scale.fps, scale.size)))
    localised = judged.ndim == 3
    cells = cells_of(scale, judged)
    save_arrays(path, {"surprise": cells.numpy(), "localised": np.array(localised)}, identity)
    return cells, localised


def cells_of(scale: Scale, judged: Tensor) -> Tensor:
    """Return the mean surprise (t, h, w) of each token, of that of frames (T,) or of pixels (T, H, W)."""
    if judged.ndim == 1:
        judged = judged[:, None, None].expand(-1, scale.size, scale.size)
    return cell_means(scale, judged)
