"""How much the demo makes, and at which rates its models learn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoSizes:
    """How much the demo makes; by default as much as takes ten minutes on two CPU cores."""

    clips: int = 480
    """Clips of the playroom."""
    objects: int = 20
    """Trials of each memory condition."""
    tokenizer_steps: int = 700
    tokenizer_rate: float = 2e-3
    """Peak learning rate of the tokenizer."""
    gpt_steps: int = 550
    gpt_rate: float = 3e-3
    """Peak learning rate of the GPT."""
    exposures: int = 40
    """Passes over the study list."""
    items: int = 4
    """Items of each kind and split that are completed."""
    continuations: int = 4
    """Of each item."""


FROM_SCRATCH = DemoSizes()
"""Of a demo whose models begin at random."""
ADAPTING = DemoSizes(tokenizer_steps=150, tokenizer_rate=2e-3, gpt_steps=150, gpt_rate=1e-3, exposures=15)
"""Of one whose models are adapted to videos of somebody's own: less, since they can do most of it."""
