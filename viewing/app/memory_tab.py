"""The memory tab: study some pictures beside a model, and be asked which of two you have studied, as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from torch import Tensor

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.images import clip_to_image
from data.playroom.make import CONDITIONS
from experiments.memory.options import MemoryOptions
from experiments.statistics.trials import TrialRow
from storage.options import LARGEST_SEED
from storage.templates import render_template
from storage.terminal import count
from viewing.app.jobs import CONCURRENCY, Job, Worker
from viewing.app.models import Models, Pair
from viewing.app.pictures import png
from viewing.app.saying import sentence_of
from viewing.app.sessions import Sessions
from viewing.app.showing import said
from viewing.app.studying import (
    AS_GIVEN,
    FEWEST_TRIALS,
    MOST_EXPOSURES,
    MOST_TRIALS,
    SWAPPED,
    StudyList,
    chance_of,
    learning_options,
    render_list,
    share_correct,
    take_test,
    upload_list,
)
from viewing.app.uploads import LIMITS, UploadError, read_upload, upload_reader

TOYS, UPLOADS = "toys", "uploads"
FOILS = {
    "novel": "a toy of another kind",
    "exemplar": "another toy of the same kind",
    "state": "the same toy in another state",
}
"""How new pictures differ from studied ones, by condition."""
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
"""Learning rates to choose from."""
HIDDEN: Literal["hidden"] = "hidden"
"""Of buttons that are there and not seen. Gradio does not bring back those that it has left out of a tab."""
START = "Press Study: you are shown some pictures, and the model studies them meanwhile."


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


@dataclass(frozen=True)
class Stills:
    """Reads uploads as still images."""

    clip_format: ClipFormat


class MemoryTab:
    """What the tab does.

    Args:
        models: that study.
        sessions: of those who play.
        worker: the one thread that asks models.
    """

    def __init__(self, models: Models, sessions: Sessions, worker: Worker) -> None:
        self.models = models
        self.sessions = sessions
        self.worker = worker

    def upload(self, files: Sequence[str] | None, model: str) -> list[Any]:
        """Take pictures that somebody brings, in place of those before."""
        pictures: list[Tensor] = []
        refused: list[str] = []
        reads = Stills(replace(self.models[model].clip_format, frames=1))
        with upload_reader() as reader:
            for number, file in enumerate(files or ()):
                try:
                    if number >= 2 * MOST_TRIALS:
                        Path(file).unlink(missing_ok=True)
                        raise UploadError(f"at most {2 * MOST_TRIALS} pictures are taken: the rest is left out")
                    pictures.append(read_upload(Path(file), reads, reader=reader))
                except UploadError as error:
                    refused.append(str(error))
        words = f"{count(len(pictures), 'picture')} uploaded; one half is studied."
        return [pictures, said(" ".join([words, *refused[:5]]), error=bool(refused)), None]

    def study(
        self,
        request: gr.Request,
        model: str,
        source: str,
        condition: str,
        trials: float,
        exposures: float,
        rate: float,
        seed: float,
        pictures: Sequence[Tensor],
    ) -> Iterator[list[Any]]:
        """Show what is studied while the model studies it."""
        session = self.sessions.find(request.session_hash)
        try:
            pair = self.models[model]
            study = self._list(pair, source, condition, int(trials), int(seed), pictures)
            options = self._options(int(exposures), float(rate))
            sheet = studied_html(study)
            yield [None, said("Look at the pictures. The model waits for its turn."), sheet, *visible(begin=False)]
            job: Job[int, tuple[TrialRow, ...]] = self.worker.start(lambda job: take_test(pair, study, options, job))
            session.begin(job)
            try:
                for passes in job.watch():
                    words = f"Look at the pictures. The model has done {passes} of {2 * int(exposures)} passes."
                    yield [None, said(words), gr.skip(), *visible(begin=False)]
                rows = job.result()
            finally:
                job.stop()
            words = "The model has studied. Press Begin the test when you are ready: the pictures are then hidden."
            yield [Sitting(study, model, options, rows), said(words), gr.skip(), *visible(begin=True)]
        except Exception as error:
            yield [None, said(sentence_of(error), error=True), "", *visible(begin=False)]

    def begin(self, sitting: Sitting | None) -> list[Any]:
        """Show the first choice, or the one that it is at."""
        if sitting is None:
            return [sitting, said(START, error=True), "", *visible(begin=False)]
        if sitting.is_over:
            return [sitting, said("That was the last choice."), outcome_html(sitting), *visible(begin=False)]
        return [sitting, said("Choose one."), choice_html(sitting), *visible(begin=False, choose=True)]

    def choose(self, sitting: Sitting | None, left: bool) -> list[Any]:
        """Take a choice, and show the next, or what came of all."""
        if sitting is not None and not sitting.is_over:
            correct = sitting.study.is_correct(len(sitting.answers), left)
            sitting = replace(sitting, answers=(*sitting.answers, correct))
        return self.begin(sitting)

    def stop(self, request: gr.Request) -> None:
        """Stop what was asked last."""
        self.sessions.find(request.session_hash).stop()

    def _list(
        self, pair: Pair, source: str, condition: str, trials: int, seed: int, pictures: Sequence[Tensor]
    ) -> StudyList:
        size = pair.clip_format.size
        if source == TOYS:
            return render_list(condition, trials, seed, size)
        if any(picture.shape[-1] != size for picture in pictures):
            raise MediaError(f"the pictures were uploaded for another model: upload them again for {pair.name}")
        return upload_list(pictures[: 2 * trials], seed)

    def _options(self, exposures: int, rate: float) -> MemoryOptions:
        if not 1 <= exposures <= MOST_EXPOSURES:
            raise ValueError(f"there can be 1 to {MOST_EXPOSURES} exposures, not {exposures}")
        return learning_options(exposures, rate)


def visible(begin: bool, choose: bool = False) -> list[Any]:
    """Return what makes the buttons that begin the test, and choose left and right, appear or vanish."""
    return [gr.update(visible=shown or HIDDEN) for shown in (begin, choose, choose)]


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


def memory_tab(tab: MemoryTab) -> None:
    """Lay the tab out, within a `gr.Tab`."""
    names = [pair.name for pair in tab.models.pairs]
    sitting: Any = gr.State(None)
    pictures: Any = gr.State([])
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            model = gr.Radio(names, value=names[0], label="Model", visible=len(names) > 1, elem_id="memory-model")
            sources = [("toys, rendered for you", TOYS), ("pictures of my own", UPLOADS)]
            source = gr.Radio(sources, value=TOYS, label="What is studied", elem_id="memory-source")
            foils = [(FOILS[condition], condition) for condition in CONDITIONS]
            condition = gr.Radio(foils, value="novel", label="What is new beside it", elem_id="memory-condition")
            upload = gr.File(
                label=f"Pictures of my own, {2 * FEWEST_TRIALS} to {2 * MOST_TRIALS}: {LIMITS.describe()}",
                file_count="multiple",
                visible=False,
                elem_id="memory-upload",
            )
            trials = gr.Slider(
                FEWEST_TRIALS, MOST_TRIALS, 6, step=1, label="Pictures to study", elem_id="memory-trials", buttons=[]
            )
            exposures = gr.Slider(
                1, MOST_EXPOSURES, 5, step=1, label="Passes of the model", elem_id="memory-exposures", buttons=[]
            )
            with gr.Accordion("How the model learns", open=False):
                rates = [(f"{rate:g}", rate) for rate in RATES]
                rate = gr.Dropdown(rates, value=RATES[2], label="Learning rate", elem_id="memory-rate")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED, elem_id="memory-seed")
            go = gr.Button("Study", variant="primary", elem_id="memory-go")
            stop = gr.Button("Stop", variant="stop", elem_id="memory-stop")
        with gr.Column(scale=2, min_width=300):
            status = gr.HTML(said(START), elem_id="memory-status")
            shown = gr.HTML(elem_id="memory-shown")
            begin = gr.Button("Begin the test", variant="primary", visible=HIDDEN, elem_id="memory-begin")
            with gr.Row():
                left = gr.Button("I studied the left one", visible=HIDDEN, elem_id="memory-left")
                right = gr.Button("I studied the right one", visible=HIDDEN, elem_id="memory-right")

    quick: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [sitting, status, shown, begin, left, right]
    source.input(
        lambda chosen: [gr.update(visible=chosen == TOYS), gr.update(visible=chosen == UPLOADS)],
        source,
        [condition, upload],
        **quick,
    )
    upload.upload(tab.upload, [upload, model], [pictures, status, upload], api_visibility="private")
    asked = [model, source, condition, trials, exposures, rate, seed, pictures]
    go.click(tab.study, asked, outputs, **CONCURRENCY, show_progress="hidden", api_visibility="private")
    stop.click(tab.stop, None, None, queue=False, **quick)
    begin.click(tab.begin, sitting, outputs, **quick)
    left.click(lambda now: tab.choose(now, True), sitting, outputs, **quick)
    right.click(lambda now: tab.choose(now, False), sitting, outputs, **quick)
