"""Small lists of images for the memory experiment, and options that learn them in no time."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.memory.options import MemoryOptions
from gpt.config import PRESETS


def make_list(root: Path, items: int = 5, fillers: int = 2, seed: int = 0) -> Path:
    """Write a list with the conditions novel and state; images are random colours, twelve pixels a side."""
    generator = np.random.default_rng(seed)

    def write(*paths: Path) -> None:
        pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)

    for condition in ("novel", "state"):
        for item in range(items):
            name = f"{condition}_{item}.png"
            write(root / "study" / name, root / "test" / f"{condition}_seen" / name)
            write(root / "test" / f"{condition}_unseen" / name)
    for filler in range(fillers):
        write(root / "study" / f"filler_{filler}.png")
    return root


def make_options(stimuli: Path | None, out: Path, **others: Any) -> MemoryOptions:
    """Two exposures of the smallest preset, with a palette of eight colours and four by four tokens."""
    settings = {**PRESETS["demo"].flat(), "colours": 8, "size": 4, "exposures": 2, "learning_rate": 3e-3}
    return MemoryOptions.of(stimuli=stimuli, out=out, **(settings | others))
