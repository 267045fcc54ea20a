"""What tiny ladders are measured on: tokenizers, their tokens, and what these were encoded from."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ladders import SMALL
from PIL import Image
from tiny import IMAGE, SHORT, make_tokenizer, make_videos

from experiments.scaling.options import ScalingRunOptions
from storage.files import to_json
from vqgan.config import VQGANConfig
from vqgan.encode import encode
from vqgan.options import EncodeOptions


class World(NamedTuple):
    """What a ladder is trained and measured on."""

    tokenizer: Path
    data: Path
    tokens: Path


def make_world(folder: Path, config: VQGANConfig, data: Path) -> World:
    made = World(folder / "tokenizer", data, folder / "tokens")
    make_tokenizer(config).save_pretrained(made.tokenizer)
    encode(EncodeOptions(tokenizer=made.tokenizer, data=made.data, out=made.tokens, workers=0))
    return made


def make_plain_images(folder: Path, count: int = 24) -> Path:
    """Images of one colour, four of them over and over with slight changes: a small GPT soon knows their tokens."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    colours = chance.integers(20, 230, (4, 3))
    for number in range(count):
        pixels = colours[number % 4] + chance.integers(0, 3, (16, 16, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"plain_{number}.png")
    return folder


def make_image_world(folder: Path) -> World:
    """Images of one colour each."""
    return make_world(folder, IMAGE, make_plain_images(folder / "data"))


def make_clip_world(folder: Path) -> World:
    """Clips of the playroom."""
    return make_world(folder, SHORT, make_videos(folder / "data", 20, size=16))


def task_options(path: Path, command: str, **options: Any) -> Path:
    path.write_text(to_json({"command": command, **options}))
    return path


def options(tokens: Path, out: Path, **others: Any) -> ScalingRunOptions:
    return ScalingRunOptions.of(tokens=tokens, out=out, **{**SMALL, **others})
