"""What the choice of a key of pictures can be asked. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from data.inputs import check_data, check_stimuli
from experiments.memory.key_names import check_distinct, check_key
from experiments.memory.options import Change, Resize
from storage.options import Options, about, option

EVERY_CHANGE: tuple[Change, ...] = get_args(Change)


@dataclass(frozen=True)
class KeyOptions(Options):
    """Choose a key of pictures for a store on one half of the trials, and report it on the other.

    Nothing is trained: what is studied is stored once, and known again, or not, when it has changed.
    """

    command = "memory keys"
    example = (
        "secondsight memory keys --stimuli LIST --keys pixels tokenizer:starter-stills gpt:starter-stills "
        "efficientnet-lite0 --out runs/keys"
    )

    stimuli: Path = field(metadata=about(must_hold=check_stimuli))
    """Folder of the list, in the study/test layout."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for keys.csv, keys.png, trials.csv, config.json and environment.json."""
    keys: tuple[str, ...] = option(("pixels",), must_hold=check_key)
    """Keys to choose from: pixels, tokenizer:MODEL, gpt:MODEL, efficientnet-lite0 (or 1, 2) or timm:MODEL:WEIGHTS."""
    changes: tuple[Change, ...] = EVERY_CHANGE
    """Changes under which test images are tested besides."""
    size: int = option(8, at_least=1, at_most=1024)
    """Pixels a side at which a learner would see the images, which `shift-1` goes by: at 8 it is an eighth of them."""
    resize: Resize = "exact"
    """How images are scaled down: see `memory run --resize`."""
    key_data: Path | None = option(None, must_hold=check_data)
    """Pictures from which the spaces are learned; those that are studied and not tested if not given."""
    exclude_defects: bool = False
    """Leave out what is wrong with a list instead of refusing it; the defects are listed in defects.csv."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that there is something to choose.

        Raises:
            ValueError: there is no key, or judgements by two could not be told apart.
        """
        if not self.keys:
            raise ValueError("--keys needs at least one key")
        check_distinct(self.keys, "--keys")
