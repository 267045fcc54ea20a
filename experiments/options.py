"""What the demo can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from data.inputs import check_data
from storage.model_paths import check_gpt
from storage.options import LARGEST_SEED, Options, about, option

STARTER = Path("starter-clips")
"""What the demo of your own videos begins from, unless another model is named."""
NO_MODEL = Path("none")
"""What is named in place of a model where there is to be none."""


def check_beginning(init: Path) -> None:
    """Refuse what names no GPT, but for the word for none.

    Raises:
        CheckpointError: there is no such model, or it is of another kind.
    """
    if init != NO_MODEL:
        check_gpt(init)


@dataclass(frozen=True)
class DemoOptions(Options):
    """Run the whole path, small and real: videos to completions and a memory curve, ending with report.html."""

    command = "demo"
    example = "secondsight demo --out demo"

    out: Path = field(metadata=about(identity="none"))
    """Folder for everything the demo makes; a stopped demo continues from what it holds."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of everything: the same seed on the same machine gives the same results."""
    videos: Path | None = option(None, must_hold=check_data)
    """Your own videos instead of the playroom's."""
    init: Path | None = option(None, must_hold=check_beginning, before=NO_MODEL)
    """With --videos, the model that is adapted to them: a GPT that brings its tokenizer along; by default
    starter-clips. `none` trains both from scratch."""
    compare: bool = option(False, may_change=True)
    """With --videos, also train a tokenizer from scratch for as long as the adapting took, and show it beside."""

    def check(self) -> None:
        """Check that a model is named, and a comparison asked for, only where one is adapted.

        Raises:
            ValueError: they are not.
        """
        adapts = self.videos is not None and self.init != NO_MODEL
        if self.videos is None and self.init not in (None, NO_MODEL):
            raise ValueError(
                f"--init {self.init} needs --videos: the demo of the playroom begins from scratch, since models may "
                "have learned from the playroom before"
            )
        if self.compare and not adapts:
            raise ValueError("--compare needs --videos and a model to begin from: else everything is from scratch")
