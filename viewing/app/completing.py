"""The completion tab: choose something, say how much of it is given, and watch what models make of the rest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from gpt.sampling_settings import SETTINGS
from sampling.options import PromptKind, SamplingOptions
from storage.options import LARGEST_SEED
from viewing.app.asking import MOST_CONTINUATIONS, Answer, Look, Question, ask_all
from viewing.app.events import QUICK, asking, stop_on_click
from viewing.app.examples import NOTHING, Example, keep_upload, prompt_kinds
from viewing.app.jobs import Job, Worker
from viewing.app.models import Models, Pair
from viewing.app.pictures import CodePatches
from viewing.app.saving import command_of, save_answers
from viewing.app.saying import check_filled, sentence_of
from viewing.app.sessions import Session, Sessions
from viewing.app.showing import WORDS, answers_html, given_html, looks_html, parts_of, prompt_of, said
from viewing.app.uploads import LIMITS

BOTH = "both, side by side"
UPLOAD = "my upload"
LABELS: Mapping[PromptKind, str] = {
    "frames": "Latent frames that are given",
    "rows": "Rows of tokens that are given",
    "left": "Columns of tokens that are given",
}
LARGEST_SHOWN_SEED = 2**31 - 1
"""Of seeds that are drawn: few enough digits to be noted down."""


class Asked(NamedTuple):
    """What the page says, as Gradio gives it: in the order of the components."""

    model: str
    example: str
    kind: str
    parts: float
    n: float
    temperature: float
    top_k: float
    top_p: float
    min_p: float
    seed: float


class Choice(NamedTuple):
    """What there is to choose from, and what is chosen."""

    names: list[str]
    name: str
    kinds: tuple[PromptKind, ...]
    kind: PromptKind
    parts: int
    total: int
    """Parts that there are; 0 where none are counted."""
    html: str
    """The picture with its line."""

    def settings(self) -> list[dict[str, Any]]:
        """Return what example, kind, slider and picture are set to."""
        return [
            {"choices": self.names, "value": self.name},
            {"choices": [(WORDS[each], each) for each in self.kinds], "value": self.kind},
            {
                "minimum": 1,
                "maximum": max(2, self.total - 1),
                "value": self.parts,
                "label": LABELS.get(self.kind, "Given"),
                "visible": self.total > 2,
            },
            {"value": self.html},
        ]

    def updates(self) -> list[Any]:
        """Return the same for Gradio, of a page that is open."""
        return [gr.update(**values) for values in self.settings()]


class CompletionTab:
    """What the tab does.

    Args:
        models: that are asked.
        examples: by the name of each pair.
        sessions: of those who play.
        worker: the one thread that asks models.
    """

    def __init__(
        self, models: Models, examples: Mapping[str, Sequence[Example]], sessions: Sessions, worker: Worker
    ) -> None:
        self.models = models
        self.examples = examples
        self.sessions = sessions
        self.worker = worker
        self.patches = {pair.name: CodePatches(pair.tokenizer) for pair in models.pairs}

    def pairs(self, model: str) -> tuple[Pair, ...]:
        """Return the models that a choice means.

        Raises:
            ValueError: it means none.
        """
        if model == BOTH and self.models.comparable:
            return self.models.pairs
        for pair in self.models.pairs:
            if pair.name == model:
                return (pair,)
        raise ValueError("there is no such model: load the page again")

    def recommended(self, model: str) -> list[float]:
        """Return temperature, top-k, top-p and min-p as a model recommends them; of two as the first does."""
        settings = self.pairs(model)[0].settings
        return [getattr(settings, name) for name in SETTINGS]

    def names(self, model: str, session: Session) -> list[str]:
        """Return what can be continued, by name."""
        listed = [each.name for each in self.examples[self.pairs(model)[0].name]]
        return [*([UPLOAD] if session.upload else []), *numbered(listed), NOTHING.name]

    def example(self, model: str, name: str, session: Session) -> Example:
        """Return the example of a name.

        Raises:
            ValueError: there is none.
        """
        if name == UPLOAD and session.upload is not None:
            return session.upload
        if name == NOTHING.name:
            return NOTHING
        listed = self.examples[self.pairs(model)[0].name]
        by_name = dict(zip(numbered([each.name for each in listed]), listed, strict=True))
        if name not in by_name:
            raise ValueError("there is no such example any more: choose another")
        return by_name[name]

    def choice(self, model: str, name: str, kind: str, parts: float, session: Session) -> Choice:
        """Return what there is to choose from; what cannot be chosen gives way to the first that can.

        Raises:
            MediaError: the example cannot be read any more.
            ValueError: there is no such model.
        """
        names = self.names(model, session)
        name = name if name in names else names[0]
        pair, example = self.pairs(model)[0], self.example(model, name, session)
        kinds = prompt_kinds(example, pair.clip_format)
        chosen = next((each for each in kinds if each == kind), kinds[0])
        clips = example.read(pair.clip_format)
        grid = pair.grid if clips is None else pair.tokenizer.grid(*clips.shape[2:])
        total = parts_of(chosen, grid)
        kept = int(parts) if chosen == kind and 1 <= int(parts) < total else max(1, total // 2)
        html = given_html(pair, example, None if clips is None else clips[0], chosen, kept)
        return Choice(names, name, kinds, chosen, kept, total, html)

    def choose(self, request: gr.Request, model: str, name: str, kind: str, parts: float) -> list[Any]:
        """Show an example: how much of it can be given, and what."""
        try:
            choice = self.choice(model, name, kind, parts, self.sessions.find(request.session_hash))
        except Exception as error:
            return [*[gr.skip()] * 4, said(sentence_of(error), error=True)]
        return [*choice.updates(), gr.skip()]

    def upload(self, request: gr.Request, file: str, model: str, kind: str, parts: float) -> list[Any]:
        """Take an upload, and show it; if it cannot be used, the one before stays."""
        session = self.sessions.find(request.session_hash)
        try:
            session.keep(keep_upload(Path(file), self.pairs(model)[0], session.new_folder()))
            choice = self.choice(model, UPLOAD, kind, parts, session)
        except Exception as error:
            return [*[gr.skip()] * 4, said(sentence_of(error), error=True)]
        return [*choice.updates(), said("Uploaded. It is kept until you leave this page.")]

    def question(self, asked: Asked, session: Session) -> Question:
        """Return what is asked.

        Raises:
            ValueError: a value cannot be; the message names it.
        """
        check_filled(asked)
        if not 1 <= asked.n <= MOST_CONTINUATIONS:
            raise ValueError(f"there can be 1 to {MOST_CONTINUATIONS} continuations, not {asked.n:g}")
        pair, example = self.pairs(asked.model)[0], self.example(asked.model, asked.example, session)
        kinds = prompt_kinds(example, pair.clip_format)
        kind = next((each for each in kinds if each == asked.kind), None)
        if kind is None:
            raise ValueError(f"{asked.kind} cannot be given of this; there are {', '.join(kinds)}")
        clips = example.read(pair.clip_format)
        grid = pair.grid if clips is None else pair.tokenizer.grid(*clips.shape[2:])
        sampling = SamplingOptions(
            temperature=float(asked.temperature),
            top_k=int(asked.top_k),
            top_p=float(asked.top_p),
            min_p=float(asked.min_p),
        )
        prompt = prompt_of(kind, int(asked.parts), grid)
        question = Question(example, prompt, int(asked.n), sampling, int(asked.seed))
        question.options(pair, Path())  # refuses what is out of range
        return question

    def run(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Ask, and show tokens as they are drawn, then answers."""
        session = self.sessions.find(request.session_hash)
        try:
            asked = Asked(*values)
            question = self.question(asked, session)
            session.asked = question.example
            pairs = self.pairs(asked.model)
            job: Job[Look, list[Answer]] = self.worker.start(lambda job: ask_all(pairs, question, job))
            session.begin(job)
            try:
                yield from self._watch(job.watch())
                answers = job.result()
            finally:
                job.stop()  # whoever has left is not waited for
            yield from self._show(answers, session)
        except Exception as error:
            yield [said(sentence_of(error), error=True), gr.skip(), gr.skip()]

    def save(self, request: gr.Request) -> list[Any]:
        """Write the newest answers into an archive, and offer it."""
        session = self.sessions.find(request.session_hash)
        if not session.answers:
            return [said("There is nothing to save yet.", error=True), gr.skip()]
        try:
            answers = session.answers
            job: Job[Look, Path] = self.worker.start(lambda _: save_answers(answers, session.folder))
            archive = job.result()
        except Exception as error:
            return [said(sentence_of(error), error=True), gr.skip()]
        label = f"Download {archive.name}"
        return [said(f"Saved: {label.lower()}."), gr.DownloadButton(label, value=str(archive), visible=True)]

    def _watch(self, looks: Iterator[Look]) -> Iterator[list[Any]]:
        newest: dict[str, Look] = {}
        for look in looks:
            # To change a component costs Gradio more than the drawing does: the old archive is hidden once.
            download = gr.skip() if newest else gr.DownloadButton(visible=False)
            newest[look.pair.name] = look
            yield [said("Drawing tokens."), looks_html(list(newest.values()), self.patches), download]

    def _show(self, answers: Sequence[Answer], session: Session) -> Iterator[list[Any]]:
        before = [answer.digest for answer in session.answers]
        session.answers = answers
        commands = [command_of(answer) for answer in answers]
        yield [said("Done. Maps are being drawn."), answers_html(answers, commands, everything=False), gr.skip()]
        again = [answer.digest for answer in answers] == before
        words = "Done. The same tokens as before." if again else "Done."
        yield [said(words), answers_html(answers, commands, everything=True), gr.skip()]


def completion_tab(tab: CompletionTab) -> None:
    """Lay the tab out, within a `gr.Tab`."""
    models = [pair.name for pair in tab.models.pairs]
    choices = [*models, *([BOTH] if tab.models.comparable else [])]
    settings = tab.models.pairs[0].settings
    begin = BOTH if tab.models.comparable else models[0]
    first = tab.choice(begin, "", "", 0, Session(Path()))
    examples, kinds, slider, picture = first.settings()
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            model = gr.Radio(choices, value=begin, label="Model", visible=len(choices) > 1, elem_id="model")
            example = gr.Dropdown(**examples, label="What is continued", elem_id="example")
            upload = gr.UploadButton(f"Upload an image or a film: {LIMITS.describe()}", elem_id="upload")
            kind = gr.Radio(**kinds, label="What is given", elem_id="kind")
            given = gr.HTML(**picture, elem_id="picture")
            parts = gr.Slider(**slider, step=1, elem_id="given", buttons=[])
        with gr.Column(scale=1, min_width=280):
            n = gr.Slider(1, MOST_CONTINUATIONS, value=2, step=1, label="Continuations", elem_id="n", buttons=[])
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED, elem_id="seed")
            with gr.Accordion("How tokens are drawn", open=False):
                temperature = gr.Number(settings.temperature, label="Temperature", minimum=0, step=0.05)
                top_k = gr.Number(settings.top_k, label="Top-k (0: all)", precision=0, minimum=0)
                top_p = gr.Number(settings.top_p, label="Top-p (1: all)", minimum=0, maximum=1, step=0.05)
                min_p = gr.Number(settings.min_p, label="Min-p (0: all)", minimum=0, maximum=1, step=0.01)
            go = gr.Button("Continue it", variant="primary", elem_id="go")
            another = gr.Button("Another seed", elem_id="another")
            stop = gr.Button("Stop", variant="stop", elem_id="stop")
            save = gr.Button("Save", elem_id="save")
            download = gr.DownloadButton("Download", visible=False, elem_id="download")
    status = gr.HTML(said("Choose something, then press Continue it."), elem_id="status")
    result = gr.HTML(elem_id="result")

    shown = [example, kind, parts, given]
    chosen = [model, example, kind, parts]
    for choice in (model, example, kind):
        choice.input(tab.choose, chosen, [*shown, status], **QUICK)
    upload.upload(tab.upload, [upload, model, kind, parts], [*shown, status], api_visibility="private")
    drawn = [temperature, top_k, top_p, min_p]
    model.input(tab.recommended, model, drawn, **QUICK)
    another.click(lambda: secrets.randbelow(LARGEST_SHOWN_SEED), None, seed, **QUICK)
    asked = [*chosen, n, *drawn, seed]
    # Who asks again before the answer is there is answered afterwards; Gradio would let the second press go.
    running = go.click(tab.run, asked, [status, result, download], **asking(status), trigger_mode="always_last")
    saving = save.click(tab.save, None, [status, download], **asking(status))
    stop_on_click(stop, tab.sessions, status, running, saving)


def numbered(names: Sequence[str]) -> list[str]:
    """Return names that tell examples apart, whatever they are called."""
    return [f"{number}. {name}" for number, name in enumerate(names, start=1)]
