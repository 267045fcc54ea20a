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
from data.playroom.make import CONDITIONS
from experiments.memory.options import MemoryOptions
from experiments.statistics.trials import TrialRow
from storage.options import LARGEST_SEED
from storage.terminal import count
from viewing.app.events import QUICK, asking, stop_on_click
from viewing.app.jobs import Job, Worker
from viewing.app.models import Models, Pair
from viewing.app.saying import check_filled, sentence_of
from viewing.app.sessions import Sessions
from viewing.app.showing import said
from viewing.app.sitting import Sitting, choice_html, outcome_html, studied_html
from viewing.app.studying import (
    FEWEST_TRIALS,
    MOST_EXPOSURES,
    MOST_TRIALS,
    StudyList,
    learning_options,
    render_list,
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
MOST_SAID = 5
"""Files that are left out of which it is said why."""
HIDDEN: Literal["hidden"] = "hidden"
"""Of buttons that are there and not seen. Gradio does not bring back those that it has left out of a tab."""
START = "Press Study: you are shown some pictures, and the model studies them meanwhile."


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
        words = [f"{count(len(pictures), 'picture')} uploaded; one half is studied.", *refused[:MOST_SAID]]
        if len(refused) > MOST_SAID:
            words.append(f"{len(refused) - MOST_SAID} more are left out.")
        return [pictures, said(" ".join(words), error=bool(refused)), None]

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
            check_filled([condition, trials, exposures, rate, seed])
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

    def _list(
        self, pair: Pair, source: str, condition: str, trials: int, seed: int, pictures: Sequence[Tensor]
    ) -> StudyList:
        size = pair.clip_format.size
        if source == TOYS:
            return render_list(condition, trials, seed, size)
        if any(picture.shape[-1] != size for picture in pictures):
            raise MediaError(f"the pictures were uploaded for another model: upload them again for {pair.name}")
        return upload_list(pictures, seed)

    def _options(self, exposures: int, rate: float) -> MemoryOptions:
        if not 1 <= exposures <= MOST_EXPOSURES:
            raise ValueError(f"there can be 1 to {MOST_EXPOSURES} exposures, not {exposures}")
        return learning_options(exposures, rate)


def visible(begin: bool, choose: bool = False) -> list[Any]:
    """Return what makes the buttons that begin the test, and choose left and right, appear or vanish."""
    return [gr.update(visible=shown or HIDDEN) for shown in (begin, choose, choose)]


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
            upload = gr.UploadButton(
                f"Upload {2 * FEWEST_TRIALS} to {2 * MOST_TRIALS} pictures: {LIMITS.describe()}",
                file_count="multiple",
                visible=HIDDEN,
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

    outputs = [sitting, status, shown, begin, left, right]
    source.input(
        lambda chosen: [gr.update(visible=chosen == each or HIDDEN) for each in (TOYS, TOYS, UPLOADS)],
        source,
        [condition, trials, upload],
        **QUICK,
    )
    upload.upload(tab.upload, [upload, model], [pictures, status, upload], api_visibility="private")
    asked = [model, source, condition, trials, exposures, rate, seed, pictures]
    studying = go.click(tab.study, asked, outputs, **asking(status))
    stop_on_click(stop, tab.sessions, status, studying)
    begin.click(tab.begin, sitting, outputs, **QUICK)
    left.click(lambda now: tab.choose(now, True), sitting, outputs, **QUICK)
    right.click(lambda now: tab.choose(now, False), sitting, outputs, **QUICK)
