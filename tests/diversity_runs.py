"""Tiny models, token stores and videos for diversity runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tiny import GPT_SHORT, IMAGE, SHORT, make_gpt, make_tokenizer, make_videos

from experiments.diversity.options import DiversityOptions
from vqgan.encode import encode
from vqgan.options import EncodeOptions


class Trained(NamedTuple):
    """What a diversity run needs."""

    gpt: Path
    tokenizer: Path
    tokens: Path
    data: Path


def make_trained(folder: Path, kind: str = "clip") -> Trained:
    """A tokenizer, its tokens of videos of 1 s clips (a tenth for validation), and a GPT of random weights."""
    tokenizer = make_tokenizer(SHORT if kind == "clip" else IMAGE)
    grid = (2, 4, 4) if kind == "clip" else (1, 4, 4)
    gpt = make_gpt(replace(GPT_SHORT, grid=grid, tokenizer=tokenizer.fingerprint))
    trained = Trained(
        gpt=folder / "gpt", tokenizer=folder / "tokenizer", tokens=folder / "tokens", data=folder / "videos"
    )
    make_videos(trained.data, 20, size=16)
    tokenizer.save_pretrained(trained.tokenizer)
    gpt.save_pretrained(trained.gpt)
    every = None if kind == "clip" else 1.0
    encode(EncodeOptions(tokenizer=trained.tokenizer, data=trained.data, out=trained.tokens, every=every, workers=0))
    return trained


def run_options(trained: Trained, out: Path, **changes: Any) -> DiversityOptions:
    """Options of a small run without networks."""
    chosen = {"n": 3, "items": 4, "batch": 3, "perceptual": "none", "features": "none", **changes}
    return DiversityOptions.of(**trained._asdict(), out=out, **chosen)
