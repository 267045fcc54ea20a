"""Which tokens of a GPT's distribution may be drawn: settings that people choose, and that a GPT can recommend.

Imports no torch, so that `--help` is instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.config_file import values_of
from storage.model_paths import CheckpointError
from storage.options import MANY, Options, option

SAMPLING = "sampling"
"""The key in the config.json of a GPT: the settings that it recommends, by name."""
COLDEST = 1e-6
"""Lowest temperature but 0, which is what it amounts to."""


@dataclass(frozen=True)
class SamplingSettings(Options):
    """What is made of a distribution before a token is drawn from it."""

    temperature: float = option(1.0, at_least=0, at_most=1000)
    """Divides the logits; 0 always takes the likeliest token."""
    top_k: int = option(0, at_least=0, at_most=MANY)
    """Keep only the k likeliest tokens; 0 keeps all."""
    top_p: float = option(1.0, above=0, at_most=1)
    """Keep the likeliest tokens whose probabilities reach this sum (Holtzman et al. 2020); 1 keeps all."""
    min_p: float = option(0.0, at_least=0, at_most=1)
    """Keep tokens at least this share as likely as the likeliest one (Nguyen et al. 2024); 0 keeps all."""

    def check(self) -> None:
        """Check that logits can be divided by the temperature.

        Raises:
            ValueError: they would exceed all floats.
        """
        if 0 < self.temperature < COLDEST:
            raise ValueError(f"--temperature {self.temperature:g} must be 0 or at least {COLDEST:g}")

    def describe(self) -> str:
        """Return all of them in words: `temperature 0.9, top-k 0, top-p 0.95, min-p 0`."""
        return ", ".join(f"{name.replace('_', '-')} {getattr(self, name):g}" for name in SETTINGS)


SETTINGS = ("temperature", "top_k", "top_p", "min_p")
"""The names of the settings."""


def read_settings(config: Mapping[str, Any], source: Path | str) -> SamplingSettings | None:
    """Return the settings that the content of a GPT's config.json recommends; None where it recommends none.

    Those that it does not name are the defaults.

    Args:
        config: the content.
        source: what it is from, for messages.

    Raises:
        CheckpointError: there is no such setting (the nearest is named), or a value is out of its range.
    """
    content = config.get(SAMPLING)
    if content is None:
        return None
    try:
        if not isinstance(content, dict):
            raise ValueError(f"{SAMPLING} is a {type(content).__name__}, not settings by name")
        return SamplingSettings(**values_of(content, SamplingSettings))
    except ValueError as error:
        raise CheckpointError(
            f"{source} recommends no way of sampling that can be: {error}. Take the config.json that was saved with "
            "the weights"
        ) from error
