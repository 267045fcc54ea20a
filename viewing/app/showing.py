"""The parts of the completion tab that are HTML: what is given, tokens as they are drawn, and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import escape
from torch import Tensor

from sampling.gallery import SIDE
from sampling.options import Prompt, PromptKind
from storage.templates import render_template
from storage.terminal import count
from viewing.app.asking import Answer, Look
from viewing.app.examples import Example
from viewing.app.models import Pair
from viewing.app.pictures import (
    CodePatches,
    bits_per_token,
    draw_answer,
    draw_example,
    draw_look,
    draw_maps,
    film,
    jpeg,
    png,
)

WORDS: Mapping[PromptKind, str] = {
    "rows": "the upper rows",
    "left": "the left columns",
    "frames": "the first latent frames",
    "first-frame": "the first frame alone",
    "none": "nothing",
}
"""What can be given, in words."""


def said(sentence: str, error: bool = False) -> str:
    """Return a sentence as the page says it, also to those who hear it."""
    kind, role = ("said error", "alert") if error else ("said", "status")
    return f'<p class="{kind}" role="{role}">{escape(sentence)}</p>'


def parts_of(kind: PromptKind, grid: tuple[int, int, int]) -> int:
    """Return how many rows, columns or latent frames of a token grid (t, h, w) there are to give some of; 0 if none."""
    return {"frames": grid[0], "rows": grid[1], "left": grid[2]}.get(kind, 0)


def prompt_of(kind: PromptKind, parts: int, grid: tuple[int, int, int]) -> Prompt:
    """Return the prompt that gives so many rows, columns or latent frames of a token grid (t, h, w).

    Raises:
        ValueError: it is not among the numbers that can be given.
    """
    total = parts_of(kind, grid)
    if not total:
        return Prompt(kind)
    if not 1 <= parts < total:
        raise ValueError(f"what is given must lie in 1 to {total - 1}, and {parts} does not")
    return Prompt(kind, float(parts) if kind == "frames" else parts / total)


def given_html(pair: Pair, example: Example, clip: Tensor | None, kind: PromptKind, parts: int) -> str:
    """Return the picture of an example with a line where what is given ends.

    Args:
        pair: the models.
        example: what is continued.
        clip: (3, T, H, W) in [-1, 1], its clip; None where nothing is given.
        kind: what is given of it.
        parts: how many rows, columns or latent frames.
    """
    if clip is None:
        return _given(axis="", count=0, share=0, image="", alt="", along_time=False, caption=_NOTHING)
    along_time = kind == "frames"
    total = parts_of(kind, pair.tokenizer.grid(*clip.shape[1:]))
    shows = "a frame of each latent frame, side by side" if along_time else "its first frame"
    shows = shows if example.is_clip(pair.clip_format) else "the image"
    return _given(
        axis={"rows": "y", "left": "x", "frames": "x"}.get(kind, ""),
        count=total,
        share=100 * parts / total if total else 100,
        image=png(draw_example(pair.tokenizer, clip, along_time)),
        alt=f"{example.name}: {shows}",
        along_time=along_time,
        caption=_DRAG if total else "Its first frame alone is given.",
    )


def looks_html(looks: Sequence[Look], patches: Mapping[str, CodePatches]) -> str:
    """Return how far the continuations of models are, one after another."""
    return _answers([_look(look, patches[look.pair.name]) for look in looks])


def answers_html(answers: Sequence[Answer], commands: Sequence[str], everything: bool) -> str:
    """Return answers side by side.

    Args:
        answers: of one question.
        commands: that make each again.
        everything: whether films and maps are among it, which take a moment to draw.
    """
    return _answers([_answer(answer, line, everything) for answer, line in zip(answers, commands, strict=True)])


_DRAG = "Drag the line, or use the slider: what lies before it is given, the grey is left to the model."
_NOTHING = "Nothing is given: the model imagines everything, from its first token on."


def _given(**values: Any) -> str:
    return render_template(Path(__file__), "given.html.j2", html=True, **values)


def _answers(answers: Sequence[dict[str, Any]]) -> str:
    return render_template(Path(__file__), "answers.html.j2", html=True, answers=answers)


def _look(look: Look, patches: CodePatches) -> dict[str, Any]:
    return {
        "name": look.pair.name,
        "drawing": [jpeg(image) for image in draw_look(look, patches)],
        "width": SIDE * look.layout.grid[0],
        "percent": int(100 * look.share),
        "digest": "",
    }


def _answer(answer: Answer, command: str, everything: bool) -> dict[str, Any]:
    question, completion, sampled = answer.question, answer.completion, answer.sampled
    shown = "" if completion.original is None else "original, prompt, reconstruction and "
    values: dict[str, Any] = {
        "name": answer.pair.name,
        "drawing": [],
        "digest": answer.digest,
        "facts": (
            f"seed {question.seed}, {question.sampling.describe()}; {count(answer.counts.tokens, 'token')} in "
            f"{answer.seconds:.1f} s; the tokens' digest is {answer.digest}"
        ),
        # What is seen for a moment only need not be without loss, and is sooner there.
        "still": (png if everything else jpeg)(draw_answer(completion, question.example.name)),
        "alt": f"{question.example.name}: {shown}{count(question.n, 'continuation')} by {answer.pair.name}",
        "film": "",
        "entropy": "",
        "command": command,
    }
    if not everything:
        return values
    if completion.continuations.shape[2] > 1:
        fps = answer.pair.clip_format.fps
        values["film"], values["poster"] = film(completion, question.example.name, fps)
    for name, surprise in (("entropy", False), ("surprise", True)):
        image, scale = draw_maps(completion, surprise)
        values |= {name: png(image), f"{name}_scale": png(scale)}
    values["entropy_mean"] = f"{bits_per_token(sampled.entropy):.2f}"
    values["surprise_mean"] = f"{bits_per_token(-sampled.log_probability):.2f}"
    return values
