"""What a physics run works on, loaded and checked: what cannot be done is refused before anything takes long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from experiments.physics.checks import CheckedSet, check_set, shared_pictures
from experiments.physics.encoding import latent_frames_of, notices
from experiments.physics.given import GivenSurprise, ScoresError, check_frames, missing_films, read_given
from experiments.physics.leak import describe_leak
from experiments.physics.models import RESERVED, check_gpt_of, names_of
from experiments.physics.observers import NamedObserver, describe_causality, make_observers, observer_path
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.readers.any import read_set
from experiments.physics.surprise import describe_windows
from experiments.physics.tables import Role
from gpt.config import GPTConfig
from gpt.trained_on import TrainedOn, trained_on
from storage.terminal import count
from training.processes import best_device, describe_device
from training.progress import say_found
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer


class GPTOfRun(NamedTuple):
    """A GPT that is measured; it is loaded when its turn comes."""

    path: Path
    name: str
    role: Role
    config: GPTConfig
    known: TrainedOn


@dataclass(frozen=True)
class Work:
    """What a run works on, checked."""

    films: CheckedSet
    tokenizer: Tokenizer
    gpts: list[GPTOfRun]
    observers: list[NamedObserver]
    given: list[GivenSurprise]


def prepare(options: PhysicsRunOptions) -> Work:
    """Load and check everything that a run needs, and say what was found.

    Raises:
        LeakError, ManifestError, MismatchError, ObserverError, ScoresError, ValueError: see
            `experiments.physics.experiment.run_physics`.
    """
    names = names_of(options.gpt, options.control_gpt, [observer_path(named) for named in options.observer])
    given = [each for path in options.scores for each in read_given(path)]
    _check_names(names, given)
    observers = make_observers(options.observer, names[len(options.gpt) + len(options.control_gpt) :])
    tokenizer = load_tokenizer(options.tokenizer).to(best_device())
    read = read_set(options.films, options.kind)
    lacking = missing_films(given, [film.film for film in read.films])
    films = check_set(read, options.exclude_defects, lacking)
    check_frames(given, films.films)
    lengths = sorted({latent_frames_of(film.footage, tokenizer) for film in films.films})
    gpts = _gpts(options, names, tokenizer, lengths[-1])
    _say_films(films, tokenizer, options.strict)
    _say_models(gpts, observers, given, lengths, options)
    for observer in observers:
        say_found(observer=describe_causality(observer, films.films, tokenizer, options.strict))
    return Work(films, tokenizer, gpts, observers, given)


def _check_names(names: Sequence[str], given: Sequence[GivenSurprise]) -> None:
    """Refuse tables whose models have the names of others."""
    listed = Counter([*names, *RESERVED, *(each.model for each in given)])
    for each in given:
        if listed[each.model] > 1:
            raise ScoresError(
                f"{each.path} has surprise of {each.model}, and another model or control is called so, too: rename it, "
                "in the column model or the name of the file"
            )


def _gpts(options: PhysicsRunOptions, names: Sequence[str], tokenizer: Tokenizer, latent_frames: int) -> list[GPTOfRun]:
    """Return the GPTs of a run, all of which know the tokens of films of so many latent frames."""
    grid = tokenizer.grid(tokenizer.frames_of(latent_frames), tokenizer.size, tokenizer.size)
    paths = [*options.gpt, *options.control_gpt]
    configs = [check_gpt_of(path, tokenizer, grid) for path in paths]
    gpts = []
    for index, (path, config, known) in enumerate(zip(paths, configs, trained_on(paths), strict=True)):
        asked = index >= len(options.gpt)
        role: Role = "control" if asked or known.latent_frames in ("shuffled", "single") else "gpt"
        gpts.append(GPTOfRun(path, names[index], role, config, known))
    return gpts


def _say_films(films: CheckedSet, tokenizer: Tokenizer, strict: bool) -> None:
    shared = shared_pictures(films)
    say_found(
        device=describe_device(best_device()),
        tokenizer=tokenizer.describe(),
        films=f"{count(len(films.films), 'film')}, {count(len(films.matched()), 'group')} of matched ones",
        scenes=count(len({film.film.scene for film in films.films}), "scene"),
        left_out=count(len(films.defects), "defect") + (" (see defects.csv)" if films.defects else ""),
        leak=describe_leak(films.films, tokenizer, strict),
    )
    for notice in notices(films, tokenizer):
        say_found(beware=notice)
    if shared is not None:
        say_found(frames=f"{100 * shared:.4g} % of the frames of matched impossible films are frames of possible ones")


def _say_models(
    gpts: Sequence[GPTOfRun],
    observers: Sequence[NamedObserver],
    given: Sequence[GivenSurprise],
    lengths: Sequence[int],
    options: PhysicsRunOptions,
) -> None:
    for gpt in gpts:
        said = "; ".join(describe_windows(gpt.config, length, options.overlap) for length in lengths)
        trained = "".join(f"; {each}" for each in _training(gpt.known))
        say_found(**{gpt.role: f"{gpt.name}: {gpt.config.describe()}; {said}{trained}"})
    for each in given:
        say_found(scores=f"{each.model}: {count(len(each.films), 'film')} of {each.path}")
    for observer in observers:
        if not observer.fingerprint:
            say_found(observer=f"{observer.name} has no fingerprint: it is measured anew when the run is resumed")
    if not gpts:
        say_found(untrained="left out: there is no GPT whose architecture it would have")


def _training(known: TrainedOn) -> Iterator[str]:
    """Yield in words what is known of the training of a GPT."""
    if known.latent_frames in ("shuffled", "single"):
        yield f"a control, as it learned {known.latent_frames} latent frames"
    if known.step is not None:
        yield f"{known.step:,} steps"
    if known.film_hours is not None and known.seen_hours is not None:
        yield f"{known.film_hours:.3g} h of film, {known.seen_hours:.3g} h with repeats"
