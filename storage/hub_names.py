"""What models of the Hugging Face hub are called. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

HUB = "hf:"
"""How names of models begin that the Hugging Face hub is asked for; everything else is a path."""
TOKENIZER = "tokenizer"
"""The folder in that of a GPT which holds its tokenizer, where it brings one along."""


def is_hub_model(name: Path | str) -> bool:
    """Whether what names a model asks the Hugging Face hub for it: `hf:owner/name` or `hf:owner/name@revision`."""
    return Path(name).as_posix().startswith(HUB)


class HubId(NamedTuple):
    """A model on the hub."""

    repo: str
    """owner/name."""
    revision: str | None
    """Branch, tag or commit; None for the newest."""

    def __str__(self) -> str:
        return f"{HUB}{self.repo}@{self.revision}" if self.revision else f"{HUB}{self.repo}"


def parse_hub_id(text: str) -> HubId | None:
    """Return the model that `text` asks the hub for, `hf:owner/name` or `hf:owner/name@revision`, or None."""
    # Imported here, so that what asks for no model of the hub needs no client of it.
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    parts = re.fullmatch(rf"{HUB}(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>\w[\w./-]*))?", text)
    if parts is None or ".." in text:
        return None
    try:
        validate_repo_id(parts["repo"])
    except HFValidationError:
        return None
    return HubId(parts["repo"], parts["revision"])
