"""How models are published. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from storage.hub_names import HUB
from storage.model_paths import CheckpointError, check_model
from storage.options import Options, about, option


def check_evaluation(path: Path) -> None:
    """Refuse what is no evaluation of a model.

    Raises:
        CheckpointError: there are no metrics.
    """
    holds_metrics = path.is_file() or any((path / name).exists() for name in ("sample.json", "metrics.json"))
    if not holds_metrics:
        raise CheckpointError(
            f"{path} holds no metrics.json: --evaluation is a folder of vqgan eval or of complete, or a file "
            "into which gpt eval printed"
        )


@dataclass(frozen=True)
class PublishOptions(Options):
    """Assemble a folder that explains a model to others, and push it to the Hugging Face hub if asked to."""

    command = "publish"
    example = "secondsight publish --model runs/tokenizer --evaluation runs/evaluation --out runs/published"

    model: Path = field(metadata=about(must_hold=check_model))
    """The model: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    out: Path
    """Folder for config.json, model.safetensors, README.md (the model card) and images."""
    evaluation: tuple[Path, ...] = option((), must_hold=check_evaluation)
    """Folders of `vqgan eval` or `complete`, and files into which `gpt eval` printed, whose metrics and images go into
    the card. The images show your data."""
    tokenizer: Path | None = option(None, must_hold=check_model)
    """The tokenizer of a GPT, published with it; by default the one that the GPT brings along, if there is one."""
    repo: str | None = None
    """Repository on the hub, owner/name, to push the folder to; without it nothing leaves this machine."""
    private: bool = False
    """Push to a private repository."""
    half: bool = False
    """Store weights as float16. A tokenizer so rounded is another one: GPTs and tokens of the original refuse it."""
    license: str | None = None
    """Licence of the weights as the hub names it: mit, apache-2.0, cc-by-4.0, other, ..."""

    def check(self) -> None:
        """Check where it is written and pushed to, and the licence.

        Raises:
            ValueError: it is no repository, or none is named; the folder reads as a model of the hub, or the licence is
                no name of one.
        """
        if str(self.out).startswith(HUB) or self.out.name.startswith(HUB):
            raise ValueError(f"--out {self.out} would read as a model of the hub: choose another name")
        if self.license is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", self.license):
            raise ValueError(f"--license {self.license!r} is no name of a licence on the hub, as mit or cc-by-4.0 are")
        if self.repo is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo):
            raise ValueError(f"--repo {self.repo} must be owner/name")
        if self.private and self.repo is None:
            raise ValueError("--private says how to push, so it needs --repo owner/name")
