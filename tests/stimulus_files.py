"""Images for lists of stimuli, each seed another one."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, seed: int) -> Path:
    """Saves an image of coarse noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((16, 16), Image.Resampling.NEAREST).save(path)
    return path


def copy(source: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, path)
    return path
