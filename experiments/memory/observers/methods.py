"""How observers sat the test, in sentences that a paper can take over."""

from __future__ import annotations

from pathlib import Path

from experiments.memory.observers.options import ObserveOptions
from experiments.methods import Facts, listed, software
from storage.records import read_record
from training.progress import count

WHAT = {
    "autoencoder": "a small convolutional autoencoder that was trained on line, scored by its squared error",
    "chance": "random numbers",
    "gpt": "a GPT over tokens of the images, scored by its mean NLL per token",
    "gpt-ratio": "a GPT over tokens of the images, scored by how much study had changed its mean NLL per token",
    "gpt-store": "a store of the features that a GPT makes of images, scored by the distance to the nearest",
    "imagegpt": "an Image GPT (Chen et al. 2020) of transformers, scored by its mean NLL per token",
    "template": "a store of pixels, scored by the distance to the nearest stored image",
    "timm": "a store of the features that a network of timm makes of images, scored by the distance to the nearest",
}
"""The observers that come with the package, in words."""


def observer_facts(options: ObserveOptions, run: Path) -> Facts:
    """Return sentences on a run of an observer, by what they are about."""
    if options.scores is not None:
        return {
            "model": f"The scores were computed elsewhere (`{options.scores.name}`), lower for more familiar.",
            "software": software(run),
        }
    sitting = options.sitting
    settings = f", with the settings {listed(list(sitting.settings))}" if sitting.settings else ""
    size = _size(run)
    seen = f" It saw images of {size} x {size} pixels." if size else ""
    last = options.seed + options.seeds - 1
    return {
        "model": f"The observer was {_what(options)}{settings}.{seen}",
        "learning": f"It studied the list {count(options.exposures, 'time')}, in a new random order each time, "
        f"{count(options.batch, 'image')} at once.",
        "seeds": f"Seed {options.seed}." if options.seeds == 1 else f"Seeds {options.seed} to {last}.",
        "software": software(run),
    }


def _size(run: Path) -> int | None:
    """Return at how many pixels a side the observer of a run saw images; None where that is not recorded."""
    try:
        size = read_record(run / "observer.json")["size"]
    except (OSError, KeyError, ValueError):
        return None
    return size if isinstance(size, int) else None


def _what(options: ObserveOptions) -> str:
    named = str(options.sitting.observer)
    return WHAT.get(named, f"`{named}`")
