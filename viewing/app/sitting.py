"""A test that somebody takes beside a model, and how it is shown: what is studied, each choice, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.images import clip_to_image
from experiments.memory.options import MemoryOptions
from experiments.statistics.trials import TrialRow
from storage.templates import render_template
from storage.terminal import count
from viewing.app.pictures import png
from viewing.app.studying import AS_GIVEN, SWAPPED, StudyList, chance_of, share_correct


@dataclass(frozen=True)
class Sitting:
    """A test that somebody is taking."""

    study: StudyList
    model: str
    options: MemoryOptions
    rows: tuple[TrialRow, ...]
    """The model's trials."""
    answers: tuple[bool, ...] = ()
    """Of the trials so far, whether the studied picture was chosen."""

    @property
    def is_over(self) -> bool:
        """Whether all choices are made."""
        return len(self.answers) == len(self.study.trials)


def studied_html(study: StudyList) -> str:
    """Return all pictures that are studied."""
    pictures = [_picture(study, image.path) for image in study.stimuli.study]
    return render_template(Path(__file__), "studied.html.j2", html=True, pictures=pictures)


def choice_html(sitting: Sitting) -> str:
    """Return the two pictures of the next choice."""
    number = len(sitting.answers)
    study = sitting.study
    trial = study.trials[number]
    sides = [_picture(study, image.path) for image in (trial.studied, trial.foil)]
    left, right = sides if study.studied_left[number] else reversed(sides)
    return render_template(
        Path(__file__), "choice.html.j2", html=True, number=number + 1, count=len(study.trials), left=left, right=right
    )


def outcome_html(sitting: Sitting) -> str:
    """Return how often the person and the model were right, and in which choices."""
    trials, correct = len(sitting.answers), sum(sitting.answers)
    exposures = sitting.options.learning.exposures
    percent = f"{100 * chance_of(correct, trials):.1f} %"
    return render_template(
        Path(__file__),
        "outcome.html.j2",
        html=True,
        model=sitting.model,
        rows=_shares(sitting),
        chance=f"Guessing is right in {correct} or more of {count(trials, 'choice')} in {percent} of cases.",
        steps="one pass over them" if exposures == 1 else f"{exposures} passes over them",
        trials=_trials(sitting),
    )


def _shares(sitting: Sitting) -> list[dict[str, str]]:
    exposures, rows = sitting.options.learning.exposures, sitting.rows
    trials = len(sitting.study.trials)
    both = [version for version in (AS_GIVEN, SWAPPED) if any(row.version == version for row in rows)]
    shares = {
        "you": (sum(sitting.answers) / trials, trials),
        "the model before study": (share_correct(rows, 0, AS_GIVEN), trials),
        "the model after study": (share_correct(rows, exposures, AS_GIVEN), trials),
        "the model after study, and the same with new and studied pictures exchanged": (
            share_correct(rows, exposures, *both),
            len(both) * trials,
        ),
    }
    return [
        {"who": who, "right": f"{share * of:g}", "choices": str(of), "share": f"{100 * share:.0f} %"}
        for who, (share, of) in shares.items()
    ]


def _trials(sitting: Sitting) -> list[dict[str, str]]:
    study, last = sitting.study, sitting.options.learning.exposures
    found = {(row.item, row.exposure): row for row in sitting.rows if row.version == AS_GIVEN}
    return [
        {
            "studied": _picture(study, trial.studied.path),
            "foil": _picture(study, trial.foil.path),
            "you": _right(float(correct)),
            "model": _right(found[trial.item, last].correct),
            "before": _difference(found[trial.item, 0]),
            "after": _difference(found[trial.item, last]),
        }
        for trial, correct in zip(study.trials, sitting.answers, strict=True)
    ]


def _right(correct: float) -> str:
    return {1.0: "right", 0.0: "wrong"}.get(correct, "a tie")


def _difference(row: TrialRow) -> str:
    return f"{row.nll_foil - row.nll_studied:+.3f}"


def _picture(study: StudyList, path: str) -> str:
    return png(clip_to_image(study.pictures[path]))
