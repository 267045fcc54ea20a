"""Measure how surprising films of what can and what cannot happen are: `secondsight physics run`.

Question: is what cannot happen less likely to a model than what can, film for film, where both are made of the same
frames?
Method: every film is encoded once; each GPT gives every token its exact probability given all tokens before; films that
are matched are compared (`experiments.physics.contrasts`), by several readouts of which one is chosen on half of the
scenes (`experiments.physics.scores`). Controls go through the same comparisons: what an untrained GPT, a copy of the
last frame or the brightness of pixels can pass asks for no knowledge.
Output: the tables of `experiments.physics.tables`, with scores.csv written last; encoded/ and surprise/, from which an
interrupted run continues; defects.csv with what was left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import Any

from data.stimuli.lists import ListedDefect
from experiments.physics.checks import CheckedSet
from experiments.physics.encoding import EncodedFilm, early_differences, encode_films
from experiments.physics.given import take_given
from experiments.physics.manifest import Film
from experiments.physics.models import UNTRAINED, Measured, make_untrained, measure_gpt, take_controls
from experiments.physics.observers import measure_observer
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.preparing import Work, prepare
from experiments.physics.printing import print_scores
from experiments.physics.readouts import READOUTS, Readout, frame_means, on_object, read_out
from experiments.physics.scores import score, split_scenes
from experiments.physics.tables import FilmColumns, FilmRow, FrameRow, ModelRow, ScoreRow
from gpt.model import GPT
from storage.lock import FolderLock
from storage.run_folder import has_begun, open_run
from storage.tables import write_rows
from storage.terminal import count
from training.processes import best_device
from training.progress import say_done, say_found


class ErasedError(ValueError):
    """The tokenizer keeps of no film what the test is about."""


def run_physics(options: PhysicsRunOptions) -> Path:
    """Carry out a run, or what is missing of it, and return its folder.

    Raises:
        ErasedError: the tokenizer keeps too little of the difference between matched films, in all of them.
        FolderLockError: another process is writing into `out`.
        LeakError: the tokenizer, or an observer, is not causal and `strict` asks for one that is.
        ManifestError: the films have defects.
        MismatchError: a GPT does not know the tokens of the tokenizer.
        ObserverError: an observer cannot be made, or returns what is no surprise.
        RunFolderError: `out` holds a run, and it is not to be resumed or has other options.
        ScoresError: a table of surprise cannot be used.
        ValueError: the overlap does not fit a GPT's window, or a GPT is given twice.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        begun = has_begun(options.out, PhysicsRunOptions) and not options.overwrite
        if begun:
            open_run(options.out, options, options.resume, begun=True)  # refused before anything takes long
        work = prepare(options)
        if not begun:
            _begin(options)
        _write_defects(options.out, work.films)
        encoded = encode_films(work.films, work.tokenizer, options.encoded or options.out / "encoded")
        void = find_void(encoded, options.least_kept)
        _say_encoded(encoded, void, options.least_kept)
        measured = _measure_all(work, encoded, options)
        scores = _score_all(measured, encoded, void)
        _write(options.out, measured, encoded, void, scores)
    print_scores(scores)
    say_done(options.out / "scores.csv", "secondsight physics report", options.out, "--out REPORT")
    return options.out


def find_void(films: Sequence[EncodedFilm], least_kept: float) -> set[str]:
    """Return the names of films of whose difference from those that they are matched with too little is kept.

    Raises:
        ErasedError: that are all which are matched.
    """
    if not least_kept:
        return set()
    known = [film for film in films if film.kept is not None]
    void = {film.film.film for film in known if (film.kept or 0.0) < least_kept}
    if known and len(void) == len(films):
        best = max(film.kept or 0.0 for film in known)
        raise ErasedError(
            f"of no film does the tokenizer keep {least_kept:g} of the difference from those that it is matched with, "
            f"at most {best:.2g}: train it for longer or with smaller tokens, or give --least-kept 0 to measure all"
            " the same"
        )
    return void


def _begin(options: PhysicsRunOptions) -> None:
    """Make `out` the folder of this run; nothing of what is replaced outlives its options."""
    if options.overwrite:
        for name in ("models.csv", "films.csv", "frames.csv", "scores.csv"):
            (options.out / name).unlink(missing_ok=True)
        for folder in ("encoded", "surprise"):
            shutil.rmtree(options.out / folder, ignore_errors=True)
    open_run(options.out, options, options.resume, options.overwrite, begun=False)


def _write_defects(out: Path, films: CheckedSet) -> None:
    rows = [
        ListedDefect(defect=index, file=file, reason=defect.reason)
        for index, defect in enumerate(films.defects)
        for file in defect.films
    ]
    write_rows(out / "defects.csv", rows, ListedDefect)


def _say_encoded(films: Sequence[EncodedFilm], void: set[str], least_kept: float) -> None:
    different, tokens = early_differences(films)
    if tokens:
        same = f"{different:,} of {tokens:,} tokens before the event differ between films of the same beginning"
        say_found(beginnings=same)
    if void:
        groups = {film.film.quadruple for film in films if film.film.film in void}
        named = ", ".join(sorted(groups)[:5]) + (" ..." if len(groups) > 5 else "")
        kept = f"the tokenizer keeps less than {least_kept:g} of the difference between their films"
        say_found(void=f"{count(len(groups), 'group')} of matched films left out, as {kept}: {named}")
    cut = sum(film.window is None for film in films)
    if cut:
        say_found(beware=f"{count(cut, 'film')} without the time of the event: no event window")


def _measure_all(work: Work, films: Sequence[EncodedFilm], options: PhysicsRunOptions) -> list[Measured]:
    device = best_device()
    out, overlap = options.out, options.overlap
    measured = []
    for gpt in work.gpts:
        loaded = GPT.from_pretrained(gpt.path).to(device)
        measured.append(measure_gpt(gpt.name, gpt.role, loaded, films, overlap, out, gpt.known))
        del loaded  # the next may need its room
    measured += [measure_observer(observer, films, out) for observer in work.observers]
    measured += [take_given(given, films, out) for given in work.given]
    _say_unjudged(measured, films)
    if work.gpts:
        untrained = make_untrained(work.gpts[0].config, options.seed).to(device)
        measured.append(measure_gpt(UNTRAINED, "control", untrained, films, overlap, out))
    return [*measured, *take_controls(films, out)]


def _say_unjudged(measured: Sequence[Measured], films: Sequence[EncodedFilm]) -> None:
    """Say of how many films a model gives no number: it is not compared on these, and the others are."""
    for model in measured:
        silent = [film.film.film for film, of in zip(films, model.surprise, strict=True) if of.isnan().all()]
        if silent:
            named = ", ".join(sorted(silent)[:5]) + (" ..." if len(silent) > 5 else "")
            what = f"{model.row.model} gives no surprise of {count(len(silent), 'film')}"
            say_found(beware=f"{what}; what is matched with that does not count in its scores: {named}")


def _score_all(measured: Sequence[Measured], films: Sequence[EncodedFilm], void: set[str]) -> list[ScoreRow]:
    counted = [film.film for film in films if film.film.film not in void]
    halves = split_scenes([film.film for film in films], {film.film.film: film.checked.digest for film in films})
    return [
        row for of_model in measured for row in score(of_model.row.model, _values(of_model, films), counted, halves)
    ]


def _values(measured: Measured, films: Sequence[EncodedFilm]) -> Mapping[Readout, Mapping[str, float]]:
    values: dict[Readout, dict[str, float]] = {}
    for readout in READOUTS:
        found = {film.film.film: _number(measured, index, film, readout) for index, film in enumerate(films)}
        values[readout] = {name: value for name, value in found.items() if value is not None}
    return values


def _number(measured: Measured, index: int, film: EncodedFilm, readout: Readout) -> float | None:
    if readout.tokens == "object" and not measured.localised:
        return None
    if not measured.timed and (readout.frames, readout.statistic) != ("film", "mean"):
        return None
    return read_out(measured.surprise[index], readout, film.cells, film.window)


def _write(
    out: Path, measured: Sequence[Measured], films: Sequence[EncodedFilm], void: set[str], scores: Sequence[ScoreRow]
) -> None:
    write_rows(out / "models.csv", [of_model.row for of_model in measured], ModelRow)
    write_rows(out / "films.csv", [row for one in measured for row in _film_rows(one, films, void)], FilmRow)
    write_rows(out / "frames.csv", [row for one in measured for row in _frame_rows(one, films)], FrameRow)
    write_rows(out / "scores.csv", scores, ScoreRow)


def _columns(model: str, film: Film) -> dict[str, Any]:
    said = asdict(film)
    return {name: said[name] for name in FilmColumns.__dataclass_fields__ if name != "model"} | {"model": model}


def _film_rows(measured: Measured, films: Sequence[EncodedFilm], void: set[str]) -> Iterator[FilmRow]:
    for index, film in enumerate(films):
        error = on_object(film.controls["reconstruction"], film.cells).double().nanmean()
        numbers: dict[str, Any] = {readout.name: _number(measured, index, film, readout) for readout in READOUTS}
        footage = film.checked.footage
        first, end = film.window or (None, None)
        yield FilmRow(
            **_columns(measured.row.model, film.film),
            **numbers,
            nats_per_token=measured.nats(index),
            sha256=film.checked.digest,
            fps=footage.fps,
            width=footage.width,
            height=footage.height,
            frames=film.scale.frames[-1],
            latent_frames=film.scale.grid[0],
            event_first=first,
            event_end=end,
            object_tokens=int(film.cells.sum()),
            object_error=sqrt(float(error)) if film.cells.any() else None,
            kept=film.kept,
            void=film.film.film in void,
            arrays=measured.files[index],
        )


def _frame_rows(measured: Measured, films: Sequence[EncodedFilm]) -> Iterator[FrameRow]:
    for index, film in enumerate(films):
        surprise = measured.surprise[index]
        everywhere = frame_means(surprise).tolist()
        on_it = frame_means(on_object(surprise, film.cells)).tolist()
        first, end = film.window or (0, 0)
        for latent_frame, (mean, of_object) in enumerate(zip(everywhere, on_it, strict=True)):
            yield FrameRow(
                **_columns(measured.row.model, film.film),
                latent_frame=latent_frame,
                start=film.scale.frames[latent_frame] / film.scale.fps,
                event=first <= latent_frame < end,
                surprise=_known(mean) if measured.timed else None,
                object_surprise=_known(of_object) if measured.localised else None,
                object_tokens=int(film.cells[latent_frame].sum()),
            )


def _known(value: float) -> float | None:
    return None if value != value else value
