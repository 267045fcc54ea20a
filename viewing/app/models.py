"""The models of the app: loaded once, and used by all who play with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data.clip_format import ClipFormat
from gpt.model import GPT
from gpt.sampling_settings import SamplingSettings
from sampling.options import SamplingPrecision
from storage.terminal import visible
from training.precision import settle
from training.processes import best_device
from viewing.app.options import AppOptions
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class Pair:
    """A GPT and the tokenizer whose tokens it learned, on the same device."""

    name: str
    """What people read; no two of an app have the same."""
    gpt: GPT
    tokenizer: Tokenizer
    clip_format: ClipFormat
    """The clips that it is asked about."""
    settings: SamplingSettings
    """How it is sampled from unless somebody chooses otherwise: as the GPT recommends, if it does."""
    gpt_path: Path
    """What the GPT was asked for by."""
    tokenizer_path: Path
    """What the tokenizer was asked for by."""
    precision: SamplingPrecision
    """Of the GPT's blocks while it is sampled from, settled."""

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns (t, h, w) of its clips."""
        return self.tokenizer.grid(self.clip_format.frames, self.clip_format.size, self.clip_format.size)


@dataclass(frozen=True)
class Models:
    """All models of an app."""

    pairs: tuple[Pair, ...]
    """One, or two."""
    said: str | None = None
    """What to say of the precision, if it was left open."""

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.pairs[0].gpt.device

    def __getitem__(self, name: str) -> Pair:
        """Return the pair of a name.

        Raises:
            KeyError: there is none.
        """
        return {pair.name: pair for pair in self.pairs}[name]

    @property
    def comparable(self) -> bool:
        """Whether there are two models of the same clips, so that both can continue the same."""
        return len(self.pairs) > 1 and len({pair.clip_format for pair in self.pairs}) == 1


def load_models(options: AppOptions) -> Models:
    """Load the models that an app is asked for.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        MismatchError: a GPT did not learn the tokens of its tokenizer.
        ValueError: bf16 is asked for where it is slow.
    """
    settled, said = settle(options, "sampling_precision", best_device())
    names = unique_names([gpt for gpt, _ in settled.pairs])
    return Models(
        tuple(
            _load_pair(name, gpt, tokenizer, settled.sampling_precision)
            for name, (gpt, tokenizer) in zip(names, settled.pairs, strict=True)
        ),
        said,
    )


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return what people read of models: the ends of their paths, numbered if two are the same.

    Of the folders above nothing is said, as pages are shown to others, and exported.
    """
    ends = [visible(path.name if path.name not in ("", "..") else path.resolve().name) for path in paths]
    if len(set(ends)) == len(ends):
        return ends
    return [f"{number}: {end}" for number, end in enumerate(ends, start=1)]


def _load_pair(name: str, gpt_path: Path, tokenizer_path: Path, precision: SamplingPrecision) -> Pair:
    device = best_device()
    gpt = GPT.from_pretrained(gpt_path).to(device)
    tokenizer = load_tokenizer(tokenizer_path).to(device)
    pair = Pair(
        name=name,
        gpt=gpt,
        tokenizer=tokenizer,
        clip_format=tokenizer.clip_format,
        settings=gpt.sampling or SamplingSettings(),
        gpt_path=gpt_path,
        tokenizer_path=tokenizer_path,
        precision=precision,
    )
    gpt.config.check_tokens(pair.grid, tokenizer.vocab_size, tokenizer.fingerprint, longer=True)
    return pair
