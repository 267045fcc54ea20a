"""The physics tab: two films, and which of them surprises a model."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import as_clip
from data.errors import MediaError
from data.images import clip_to_image
from data.video_writing import write_video
from experiments.physics.manifest import CONTROL
from experiments.physics.options import Concept
from storage.templates import render_template
from viewing.app.events import QUICK, asking, stop_on_click
from viewing.app.jobs import Job, Worker
from viewing.app.models import Models
from viewing.app.pictures import data_uri, png
from viewing.app.saying import check_filled, sentence_of
from viewing.app.sessions import Sessions
from viewing.app.showing import said
from viewing.app.surprising import (
    MOST_SECONDS,
    FilmPair,
    Measured,
    films_as_given,
    longest_film,
    measure,
    render_films,
)
from viewing.app.uploads import LIMITS, read_film

SCENE, UPLOADS = "scene", "uploads"
NAMES = ("the first", "the second")
NO_GUESS = "no guess"
LEFT, RIGHT, TOP, BOTTOM = 50.0, 630.0, 20.0, 214.0
"""Where the curves lie in their drawing."""
MOST_SCENES = 10_000
TICKS = 4
"""Spaces between numbers beside an axis, about."""
START = "Press Show the films."


@dataclass(frozen=True)
class Brought:
    """A film that somebody has uploaded."""

    levels: Tensor
    """(3, T, H, W) uint8, H = W."""
    form: ClipFormat
    """Of the clips of the model that it was uploaded for."""


@dataclass(frozen=True)
class Shown:
    """Two films that somebody looks at."""

    model: str
    films: FilmPair
    fps: float


class PhysicsTab:
    """What the tab does.

    Args:
        models: that are asked.
        sessions: of those who play.
        worker: the one thread that asks models.
    """

    def __init__(self, models: Models, sessions: Sessions, worker: Worker) -> None:
        self.models = models
        self.sessions = sessions
        self.worker = worker

    def upload(self, name: str, file: str, model: str) -> list[Any]:
        """Take a film that somebody brings, one of `NAMES`, in place of the one before."""
        try:
            form = self.models[model].clip_format
            levels = read_film(Path(file), longest_film(form))
        except Exception as error:
            return [None, said(sentence_of(error), error=True)]
        seconds = levels.shape[1] / form.fps
        return [
            Brought(levels, form),
            said(f"Uploaded {name} film: {seconds:.2f} s are looked at, at most {MOST_SECONDS:g}."),
        ]

    def show(
        self,
        request: gr.Request,
        model: str,
        source: str,
        concept: str,
        hidden: bool,
        scene: float,
        first: Brought | None,
        second: Brought | None,
    ) -> list[Any]:
        """Show two films, before the model is asked; a guess about those before is forgotten."""
        session = self.sessions.find(request.session_hash)
        try:
            pair = self.models[model]
            if source == SCENE:
                check_filled([concept, scene])
                job: Job[int, FilmPair] = self.worker.start(
                    lambda _: render_films(pair, concept, int(scene), seed=0, hidden=hidden)
                )
                session.begin(job)
                films = job.result()
            else:
                brought = [film for film in (first, second) if film is not None]
                if any(film.form != pair.clip_format for film in brought):
                    raise MediaError(f"the films were uploaded for another model: upload them again for {pair.name}")
                films = films_as_given([film.levels for film in brought])
            shown = Shown(model, films, pair.clip_format.fps)
            words = "Look at both. Which do you think surprises the model more? Then press Ask the model."
            return [shown, said(words), films_html(shown), "", NO_GUESS]
        except Exception as error:
            return [None, said(sentence_of(error), error=True), "", "", NO_GUESS]

    def ask(self, request: gr.Request, shown: Shown | None, guess: str) -> Iterator[list[Any]]:
        """Measure the surprise of the films that are shown."""
        session = self.sessions.find(request.session_hash)
        try:
            if shown is None:
                raise ValueError("there are no films yet: press Show the films")
            pair, films = self.models[shown.model], shown.films
            job: Job[int, Measured] = self.worker.start(lambda job: measure(pair, films, job))
            session.begin(job)
            try:
                for done in job.watch():
                    yield [said(f"{done} of 2 films are measured."), gr.skip()]
                measured = job.result()
            finally:
                job.stop()
            yield [said("Done."), surprise_html(shown, measured, guess)]
        except Exception as error:
            yield [said(sentence_of(error), error=True), gr.skip()]


def films_html(shown: Shown) -> str:
    """Return both films, to be played."""
    films = [
        {"film": _film(levels, shown.fps), "poster": png(clip_to_image(as_clip(levels[:, 0])))}
        for levels in shown.films.levels
    ]
    return render_template(Path(__file__), "films.html.j2", html=True, films=films)


def surprise_html(shown: Shown, measured: Measured, guess: str) -> str:
    """Return which film is the more surprising, over time, and what it does not mean."""
    more = measured.more_surprising
    verdict = "Both films surprise it alike" if more is None else f"{NAMES[more].capitalize()} film surprises it more"
    event = shown.films.event_s
    return render_template(
        Path(__file__),
        "surprise.html.j2",
        html=True,
        verdict=f"{shown.model}: {verdict[0].lower()}{verdict[1:]}",
        sentences=_sentences(shown, measured, guess),
        alt=_describe(measured),
        event=None if event is None or event >= measured.seconds else _across(event, measured),
        rows=_rows(measured),
        **_drawing(measured),
    )


def _sentences(shown: Shown, measured: Measured, guess: str) -> list[str]:
    first, second = measured.means
    sentences = [
        f"The first takes {first:.3f} bits per token, the second {second:.3f}, over {measured.seconds:.2f} s: "
        f"{measured.windows}."
    ]
    if guess in NAMES and measured.more_surprising is not None:
        sentences.append(f"You guessed {guess}: {'so it is' if _guessed(guess, measured) else 'it is the other'}.")
    if shown.films.impossible is not None:
        agrees = measured.more_surprising == shown.films.impossible
        sentences.append(
            f"What is changed, or cannot happen, is in {NAMES[shown.films.impossible]} film, and it "
            f"{'is' if agrees else 'is not'} the more surprising one."
        )
    return sentences


def _guessed(guess: str, measured: Measured) -> bool:
    return NAMES.index(guess) == measured.more_surprising


def _describe(measured: Measured) -> str:
    first, second = measured.curves
    gaps = [abs(a - b) for a, b in zip(first, second, strict=True)]
    largest = max(range(len(gaps)), key=lambda index: -1 if math.isnan(gaps[index]) else gaps[index])
    return (
        f"Curves of bits per token over {measured.seconds:.2f} s. They are furthest apart from "
        f"{measured.starts[largest]:.2f} s on: {first[largest]:.2f} of the first film, "
        f"{second[largest]:.2f} of the second"
    )


def _rows(measured: Measured) -> list[dict[str, str]]:
    first, second = measured.curves
    values = [("all", *measured.means)]
    values += [(f"{start:.2f} s", a, b) for start, a, b in zip(measured.starts, first, second, strict=True)]
    return [
        {"what": what, "first": f"{a:.3f}", "second": f"{b:.3f}", "difference": f"{b - a:+.3f}"}
        for what, a, b in values
    ]


def _drawing(measured: Measured) -> dict[str, Any]:
    """Return lines and ticks of the curves; a latent frame is drawn at its middle."""
    curves = measured.curves
    top = max((value for curve in curves for value in curve if not math.isnan(value)), default=1.0) or 1.0
    step = 10 ** math.floor(math.log10(top))
    step = step if top / step >= TICKS else step / 2
    ends = [*measured.starts[1:], measured.seconds]
    middles = [(start + end) / 2 for start, end in zip(measured.starts, ends, strict=True)]

    def height(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)

    lines = [
        " ".join(
            f"{_across(at, measured)},{height(value)}"
            for at, value in zip(middles, curve, strict=True)
            if not math.isnan(value)
        )
        for curve in curves
    ]
    marks = [number * step for number in range(int(top / step) + 1)]
    every = max(1, round(len(measured.starts) / (2 * TICKS)))
    return {
        "lines": lines,
        "up": [{"at": height(mark), "text": f"{mark:g}"} for mark in marks],
        "across": [{"at": _across(at, measured), "text": f"{at:.3g}"} for at in measured.starts[::every]],
    }


def _across(seconds: float, measured: Measured) -> float:
    return round(LEFT + (RIGHT - LEFT) * seconds / measured.seconds, 1)


def _film(levels: Tensor, fps: float) -> str:
    """Return a film (3, T, H, W) uint8 as an MP4, as a data URI."""
    with tempfile.TemporaryDirectory(prefix="secondsight-") as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, as_clip(levels), fps)
        return data_uri("video/mp4", path.read_bytes())


def physics_tab(tab: PhysicsTab) -> None:
    """Lay the tab out, within a `gr.Tab`."""
    names = [pair.name for pair in tab.models.pairs]
    shown: Any = gr.State(None)
    brought: list[Any] = [gr.State(None), gr.State(None)]
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            model = gr.Radio(names, value=names[0], label="Model", visible=len(names) > 1, elem_id="physics-model")
            sources = [("a scene, rendered for you", SCENE), ("films of my own", UPLOADS)]
            source = gr.Radio(sources, value=SCENE, label="Films", elem_id="physics-source")
            with gr.Group() as of_scene:
                concepts = [(name if name != CONTROL else "nothing (control)", name) for name in get_args(Concept)]
                concept = gr.Dropdown(concepts, value="permanence", label="What is violated", elem_id="physics-concept")
                hidden = gr.Checkbox(False, label="behind a screen", elem_id="physics-hidden")
                scene = gr.Number(
                    0,
                    label="Number of the scene",
                    precision=0,
                    minimum=0,
                    maximum=MOST_SCENES,
                    elem_id="physics-scene",
                )
            with gr.Group(visible=False) as of_uploads:
                labels = [f"Upload {name} film: {LIMITS.describe()}" for name in NAMES]
                uploads = [gr.UploadButton(label, elem_id=f"physics-{n}") for n, label in enumerate(labels, start=1)]
            show = gr.Button("Show the films", variant="primary", elem_id="physics-show")
            guess = gr.Radio([*NAMES, NO_GUESS], value=NO_GUESS, label="Your guess", elem_id="physics-guess")
            ask = gr.Button("Ask the model", elem_id="physics-ask")
            stop = gr.Button("Stop", variant="stop", elem_id="physics-stop")
        with gr.Column(scale=2, min_width=300):
            status = gr.HTML(said(START), elem_id="physics-status")
            films = gr.HTML(elem_id="physics-films")
            result = gr.HTML(elem_id="physics-result")

    source.input(
        lambda chosen: [gr.update(visible=chosen == SCENE), gr.update(visible=chosen == UPLOADS)],
        source,
        [of_scene, of_uploads],
        **QUICK,
    )
    for name, button, film in zip(NAMES, uploads, brought, strict=True):
        button.upload(partial(tab.upload, name), [button, model], [film, status], api_visibility="private")
    asked = [model, source, concept, hidden, scene, *brought]
    showing = show.click(tab.show, asked, [shown, status, films, result, guess], **asking(status))
    measuring = ask.click(tab.ask, [shown, guess], [status, result], **asking(status))
    stop_on_click(stop, tab.sessions, status, showing, measuring)
