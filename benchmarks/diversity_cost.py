"""A diversity run against its sampling alone.

    python benchmarks/diversity_cost.py                 # a part of it: 16 items
    python benchmarks/diversity_cost.py --items 50      # 50 studied and 50 new items

Both sides draw the same continuations of half clips, of 512 given and 512 new tokens, with a GPT of the size `alef` and
random weights, the same items side by side. One side is the whole of `secondsight diversity run`: reading, encoding,
decoding, all four distances, identification, baselines, redundancy, audit, tables and images.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from data.tokens import TokenStore
from experiments.diversity.experiment import run_diversity
from experiments.diversity.material import read_material
from experiments.diversity.options import DiversityOptions
from experiments.diversity.stage import make_stage
from gpt.config import preset
from gpt.model import GPT
from sampling.decode import sample
from training.processes import best_device
from vqgan.config import PRESETS
from vqgan.encode import encode
from vqgan.model import VQGAN, load_tokenizer
from vqgan.options import EncodeOptions


@dataclass
class Options:
    """Time a diversity run."""

    items: int = 8
    """Items of each group, studied and new."""
    n: int = 10
    """Continuations of each."""
    gpt: str = "alef"
    """Size of the GPT."""
    batch: int = 8
    """Items continued side by side."""


def main(options: Options) -> None:
    """Print the seconds of both sides and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        run = _prepare(options, Path(folder))
        began = time.perf_counter()
        run_diversity(run)
        whole = time.perf_counter() - began
        sampling = _sample_alone(run)
    print(
        f"{2 * options.items} items, {options.n} continuations each: the whole run {whole:.1f} s, "
        f"sampling alone {sampling:.1f} s: {whole / sampling:.3f} times as long"
    )


def _prepare(options: Options, folder: Path) -> DiversityOptions:
    """Make videos, a tokenizer of random weights, tokens and a GPT of random weights."""
    videos, tokenizer, tokens, gpt = (folder / name for name in ("videos", "tokenizer", "tokens", "gpt"))
    # A tenth of the videos, and what chance adds, are new items.
    make_playroom(PlayroomOptions(videos, clips=14 * options.items))
    torch.manual_seed(0)
    model = VQGAN(PRESETS["demo"])
    model.save_pretrained(tokenizer)
    encode(EncodeOptions(tokenizer, videos / "clips", tokens))
    metadata = TokenStore(tokens).metadata
    GPT(preset(options.gpt, metadata.grid, metadata.vocab_size, metadata.tokenizer)).save_pretrained(gpt)
    return DiversityOptions(
        gpt, tokenizer, tokens, videos / "clips", folder / "run",
        n=options.n, items=options.items, encodings=("alone",), batch=options.batch,
    )  # fmt: skip


def _sample_alone(run: DiversityOptions) -> float:
    """Return the seconds that it takes to draw the continuations of a run."""
    gpt, tokenizer = GPT.from_pretrained(run.gpt).to(best_device()), load_tokenizer(run.tokenizer).to(best_device())
    material = read_material(run.data, TokenStore(run.tokens), tokenizer, run.items)
    stage = make_stage(gpt, tokenizer, material, given=2)
    numbers = range(len(material.items))
    began = time.perf_counter()
    for first in numbers[:: run.batch]:
        batch = numbers[first : first + run.batch]
        given = stage.layout.place(stage.prompts["alone"][batch]).to(gpt.device)
        sample(gpt, given, run.n, seed=run.seed, items=batch)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(tyro.cli(Options))
