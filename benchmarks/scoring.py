"""How much faster are images scored than by the plain model, or by another version of this project?

    python benchmarks/scoring.py                                    600 images of 256 tokens, 12 layers, 768 wide
    python benchmarks/scoring.py --items 16 --layers 2 --clock processor --threads 1
    python benchmarks/scoring.py --other ../checkout                beside another checkout, in processes of their own

Without `--other` the reference is `GPT.nll` over batches of the same size with the model's own layers. The products of
its matrices alone are timed too, as the floor. With `--other` each side scores as its memory experiment does, in turn,
and both print a mean NLL, which must agree.
"""

from __future__ import annotations

import inspect
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from timing import medians
from torch import Tensor, nn

from gpt.config import GPTConfig
from gpt.model import GPT

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
VOCABULARY = 16384
TOKENS_AT_ONCE = 2**11
ASKS_FOR_ONE_RUN = "SCORING_BENCHMARK"


@dataclass
class Options:
    """Score images."""

    items: int = 600
    """Images of 256 tokens."""
    layers: int = 12
    """Transformer blocks."""
    heads: int = 12
    """Attention heads."""
    width: int = 768
    """Width of the residual stream."""
    threads: int = 2
    """CPU threads."""
    runs: int = 3
    """Rounds; medians are printed."""
    clock: Literal["wall", "processor"] = "wall"
    """Seconds that pass, or those that the processor works for this process: of use beside other work."""
    other: Path | None = None
    """Folder of another checkout to compare with."""


def make_task(options: Options) -> tuple[GPT, Tensor]:
    """Return a model and the tokens (items, 256) that it scores."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(options.layers, options.heads, options.width, (1, 16, 16), VOCABULARY)).eval()
    return gpt, torch.randint(VOCABULARY, (options.items, 256))


def score(gpt: GPT, tokens: Tensor) -> Tensor:
    """Return the NLL (items, 256) as the memory experiment of the checkout that is imported scores."""
    try:
        from gpt.scoring import score_tokens
    except ImportError:
        from experiments.memory.recognition import token_nll as score_tokens
    return score_tokens(gpt, tokens)


@torch.no_grad()
def plain(gpt: GPT, tokens: Tensor) -> Tensor:
    """Return the NLL (items, 256) of the model itself."""
    return torch.cat([gpt.nll(part) for part in tokens.split(TOKENS_AT_ONCE // 256)])


@torch.no_grad()
def products(gpt: GPT, tokens: Tensor) -> None:
    """Multiply every matrix of the model with as many rows as scoring does."""
    matrices = [module.weight for module in gpt.modules() if isinstance(module, nn.Linear)]
    rows = [torch.randn(TOKENS_AT_ONCE, width) for width in (matrix.shape[1] for matrix in matrices)]
    for part in tokens.split(TOKENS_AT_ONCE // 256):
        for matrix, x in zip(matrices, rows, strict=True):
            torch.mm(x[: part.numel()], matrix.T)


def one_run(options: Options) -> None:
    """Score once, after a first image, and print seconds and mean NLL as JSON: what a process of a side does."""
    gpt, tokens = make_task(options)
    score(gpt, tokens[:1])
    clock = CLOCKS[options.clock]
    began = clock()
    nll = score(gpt, tokens)
    print(json.dumps({"seconds": clock() - began, "nll": float(nll.mean())}))


def run_in(checkout: Path, options: Options) -> dict[str, float]:
    """Return what `one_run` prints in a process that imports a checkout."""
    asked = json.dumps(asdict(options) | {"other": None})
    paths = os.pathsep.join([str(checkout.resolve()), str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONPATH": paths, ASKS_FOR_ONE_RUN: asked}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True, cwd=checkout
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare_checkouts(options: Options, other: Path) -> tuple[dict[str, float], float]:
    """Return the median seconds of both checkouts, and how far their mean NLL are apart."""
    here = Path(inspect.getfile(GPT)).parents[1]
    found: dict[str, list[dict[str, float]]] = {"this": [], "other": []}
    for _ in range(options.runs):
        found["this"].append(run_in(here, options))
        found["other"].append(run_in(other, options))
    seconds = {side: statistics.median(run["seconds"] for run in runs) for side, runs in found.items()}
    return seconds, abs(found["this"][0]["nll"] - found["other"][0]["nll"])


def compare_here(options: Options) -> tuple[dict[str, float], float]:
    """Return the median seconds of scoring, of the plain model and of its matrix products, and how far NLL differ."""
    gpt, tokens = make_task(options)
    functions = {"this": score, "other": plain, "products alone": products}
    sides = {name: partial(function, gpt, tokens) for name, function in functions.items()}
    seconds = medians(sides, options.runs, CLOCKS[options.clock])
    return seconds, float((score(gpt, tokens[:8]) - plain(gpt, tokens[:8])).abs().max())


def main(options: Options) -> None:
    """Print medians, the ratio, and how far the scores are apart."""
    seconds, apart = compare_here(options) if options.other is None else compare_checkouts(options, options.other)
    print(f"{options}\n{torch.backends.cpu.get_cpu_capability()}")
    for side, value in seconds.items():
        print(f"{side}: {value:.2f} s, {options.items / value:.1f} images a second")
    print(f"other / this: {seconds['other'] / seconds['this']:.2f}; NLL apart by {apart:.1e} nats")


if __name__ == "__main__":
    if ASKS_FOR_ONE_RUN in os.environ:
        one_run(Options(**json.loads(os.environ[ASKS_FOR_ONE_RUN])))
    else:
        main(tyro.cli(Options))
