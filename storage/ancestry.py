"""Where the weights of a model came from, generation by generation, as its `config.json` remembers it.

Imports no torch, so that model cards and options can use it.
"""

from __future__ import annotations

from dataclasses import dataclass

ANCESTRY = "ancestry"
"""The key in the config.json of a model: a list, the model's parent first."""


@dataclass(frozen=True)
class Ancestor:
    """A model whose weights another model began from (`--init`), and what became of them.

    Of the tensors of the model that began from it, and of the numbers in these, each is counted once.
    """

    model: str
    """What it was asked for by: `hf:owner/name@commit`, or the name of its run or folder, without the path to it."""
    weights: str
    """Fingerprint of its config and weights."""
    steps: int | None
    """Optimizer steps that it was trained for since its own beginning; None where that is not known."""
    kept: tuple[int, int]
    """Tensors, and numbers in them, that were taken over as they were."""
    resized: tuple[int, int] = (0, 0)
    """The same of those of which some rows were taken over, and others are new or gone."""
    interpolated: tuple[int, int] = (0, 0)
    """The same of those whose numbers lie between the old ones."""
    new: tuple[int, int] = (0, 0)
    """The same of those that began anew."""
    notes: tuple[str, ...] = ()
    """What was changed, and how, a sentence for each."""

    def describe_source(self) -> str:
        """Return which model it is, in words."""
        trained = "" if self.steps is None else f", {self.steps:,} step{'' if self.steps == 1 else 's'}"
        return f"{self.model} (weights {self.weights}{trained})"

    def describe_changes(self) -> str:
        """Return what was taken over of it, in words: `kept 14 tensors (3,712 parameters), new 2 (64)`."""
        counted = {
            "kept": self.kept,
            "resized": self.resized,
            "interpolated": self.interpolated,
            "begun anew": self.new,
        }
        parts = [
            f"{what} {tensors:,} tensor{'' if tensors == 1 else 's'} ({numbers:,} numbers)"
            for what, (tensors, numbers) in counted.items()
            if tensors or what == "kept"
        ]
        return ", ".join(parts)
