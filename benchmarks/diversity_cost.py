"""A diversity run against its sampling alone.

    python benchmarks/diversity_cost.py                 # few of them: 16 items
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
from experiments.diversity.material import make_prompts, read_material
from experiments.diversity.options import DiversityOptions
from gpt.config import PRESETS as GPT_PRESETS
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
    """Preset of the GPT."""
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
    videos = folder / "videos"
    tokenizer = folder / "tokenizer"
    tokens = folder / "tokens"
    gpt = folder / "gpt"
    # A tenth of the videos, and what chance adds, are new items.
    make_playroom(PlayroomOptions(out=videos, clips=14 * options.items))
    torch.manual_seed(0)
    VQGAN(PRESETS["demo"]).save_pretrained(tokenizer)
    encode(EncodeOptions(tokenizer=tokenizer, data=videos / "clips", out=tokens))
    metadata = TokenStore(tokens).metadata
    config = GPT_PRESETS[options.gpt].for_tokens(metadata.grid, metadata.vocab_size, metadata.tokenizer)
    GPT(config).save_pretrained(gpt)
    return DiversityOptions.of(
        gpt=gpt,
        tokenizer=tokenizer,
        tokens=tokens,
        data=videos / "clips",
        out=folder / "run",
        n=options.n,
        items=options.items,
        encodings=("alone",),
        batch=options.batch,
    )


def _sample_alone(run: DiversityOptions) -> float:
    """Return the seconds that it takes to draw the continuations of a run."""
    device = best_device()
    measuring = run.measuring
    gpt = GPT.from_pretrained(run.gpt).to(device)
    tokenizer = load_tokenizer(run.tokenizer).to(device)
    material = read_material(run.data, TokenStore(run.tokens), tokenizer, measuring.items)
    prompts = make_prompts(gpt, tokenizer, material, given=2)
    items = range(len(material.items))
    began = time.perf_counter()
    for first in items[:: measuring.batch]:
        batch = items[first : first + measuring.batch]
        given = prompts.layout.place(prompts.tokens["alone"][batch]).to(device)
        sample(gpt, given, measuring.n, seed=measuring.seed, items=batch)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(tyro.cli(Options))
