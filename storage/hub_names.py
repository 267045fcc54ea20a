"""What models of the Hugging Face hub are called. Imports no torch and no client of the hub."""

from __future__ import annotations

from pathlib import Path

HUB = "hf:"
"""How names of models begin that the Hugging Face hub is asked for; everything else is a path."""
TOKENIZER = "tokenizer"
"""The folder in that of a GPT which holds its tokenizer, where it brings one along."""


def is_hub_model(name: Path | str) -> bool:
    """Whether what names a model asks the Hugging Face hub for it: `hf:owner/name` or `hf:owner/name@revision`."""
    return Path(name).as_posix().startswith(HUB)
