"""What the physics experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.folders import look_at
from storage.model_paths import check_gpt, check_model
from storage.options import LARGEST_SEED, Options, about, option

SetKind = Literal["manifest"]
"""How a set of films is laid out."""


def check_films(path: Path) -> None:
    """Refuse what is no set of films, as far as that shows without looking into it.

    Raises:
        ValueError: there is nothing.
    """
    found = look_at(path)
    if found.status is None:
        raise ValueError(f"{path} {found.problem}: --films is the folder of a set of films, or its manifest")


@dataclass(frozen=True)
class PhysicsRunOptions(Options):
    """Measure how surprising possible and impossible films are to GPTs, and to controls that no model made."""

    command = "physics run"
    begun_with = ("encoded/*.npz", "films.csv")
    example = (
        "secondsight physics run --films runs/physics --tokenizer runs/tokenizer --gpt runs/gpt --out runs/surprise"
    )

    films: Path = field(metadata=about(must_hold=check_films))
    """The films: a folder with manifest.csv, or such a file."""
    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips."""
    gpt: tuple[Path, ...] = field(metadata=about(must_hold=check_gpt))
    """The GPTs of that tokenizer's tokens, one or several: model folders, runs, checkpoints of one training, or names
    on the hub. The films are encoded once for all of them."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder for models.csv, films.csv, frames.csv, scores.csv, encoded/ and surprise/."""
    kind: SetKind = "manifest"
    """How the films are laid out: with a `manifest.csv`."""
    overlap: int | None = option(None, at_least=1, at_most=10**6)
    """Latent frames of a film longer than a GPT's window that later windows see again, as context; half of the window
    if not given."""
    least_kept: float = option(0.25, at_least=0, at_most=1)
    """Share of the difference between matched films that must be left between their reconstructions: where the
    tokenizer erases the object, or shows two shapes alike, films are void and left out of scores. 0 leaves none out."""
    strict: bool = False
    """Refuse a tokenizer whose tokens know what follows, instead of saying how many do."""
    exclude_defects: bool = False
    """Leave out films that have defects, with those that they are matched with, instead of refusing the set."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the weights of the untrained GPT."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that there is a GPT.

        Raises:
            ValueError: there is none.
        """
        if not self.gpt:
            raise ValueError("--gpt needs at least one GPT")
