"""`--protocol igpt2022` beside the published experiment, written here once more with torch and torchvision alone.

What is written here follows the public code of Orhan (2022, arXiv 2204.13061) in what it does: images listed by
ImageFolder, scaled by Resize, coloured in float32; a minGPT under a seed; sixteen processes, each with its own share of
DistributedSampler's order, whose gradients are averaged; a fresh Adam, nothing clipped.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from memory_lists import make_list
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DistributedSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import Resize

import secondsight
from experiments.memory.experiment import run_memory
from experiments.memory.learner import igpt2022_order
from experiments.memory.material import scale_image
from experiments.memory.options import MemoryOptions, SweepOptions
from experiments.memory.recognition import Session
from experiments.memory.sweep import sweep_cells
from experiments.statistics.trials import TrialRow, read_trials
from gpt.config import PRESETS, GPTConfig
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.command import arguments_of
from storage.run_folder import read_options
from vqgan.palette import Palette

PROCESSES = 16
TINY = {"layers": 2, "heads": 2, "width": 16}
SIDE = 6
COLOURS = 12
EXPOSURES = 10


class MinGPT(nn.Module):
    """The published architecture: layer norm, learned positions, GELU, biases, no BOS token."""

    def __init__(self, layers: int, heads: int, width: int, vocabulary: int, positions: int) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocabulary, width)
        self.pos_emb = nn.Parameter(torch.zeros(1, positions, width))
        self.blocks = nn.Sequential(*(MinBlock(width, heads) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(self.begin)

    @staticmethod
    def begin(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the NLL (B, L - 1) of tokens (B, L)."""
        read, wanted = tokens[:, :-1], tokens[:, 1:]
        x = self.blocks(self.tok_emb(read) + self.pos_emb[:, : read.shape[1]])
        return F.cross_entropy(self.head(self.ln_f(x)).permute(0, 2, 1), wanted, reduction="none")


class MinAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        seen = scores.masked_fill(later, -torch.inf).softmax(dim=-1) @ v
        return self.proj(seen.transpose(1, 2).flatten(2))


class MinBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = MinAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


def published_tokens(folder: Path, clusters: Tensor) -> dict[str, Tensor]:
    """The tokens of the images that ImageFolder lists, in its order, by file name."""
    found: dict[str, Tensor] = {}
    images = ImageFolder(str(folder), Resize(SIDE))
    for (path, _), (image, _) in zip(images.samples, images, strict=True):
        pixels = torch.from_numpy(np.array(image)).view(-1, 3).float()
        found[Path(path).name] = ((pixels[:, None, :] - clusters[None]) ** 2).sum(-1).argmin(1)
    return found


def published_study(model: MinGPT, items: Tensor, seed: int, epochs: int, rate: float = 5e-4) -> Any:
    """Study (N, L) items, and yield after each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), rate, weight_decay=0.0)
    samplers = [DistributedSampler(items, PROCESSES, rank, seed=seed) for rank in range(PROCESSES)]  # type: ignore[arg-type]
    for epoch in range(epochs):
        model.train()
        shares = []
        for sampler in samplers:
            sampler.set_epoch(epoch)
            shares.append(torch.tensor(list(sampler)).split(2))
        for of_processes in zip(*shares, strict=True):
            model.zero_grad()
            for chosen in of_processes:
                (model(items[chosen]).mean() / PROCESSES).backward()
            optimizer.step()
        model.eval()
        yield epoch + 1


def scores(model: MinGPT, tokens: dict[str, Tensor]) -> dict[str, float]:
    """The mean NLL of each sequence, by name."""
    with torch.no_grad():
        nll = model(torch.stack(list(tokens.values()))).mean(dim=1)
    return dict(zip(tokens, nll.tolist(), strict=True))


def make_published(root: Path) -> tuple[Path, Path]:
    """Two lists in the layout of the published ones: the images seen in one are unseen in the other.

    Images are squares on white, of a size at which they are scaled.
    """
    generator = np.random.default_rng(0)

    def image() -> Image.Image:
        pixels = np.full((20, 20, 3), 255, dtype=np.uint8)
        pixels[4:15, 3:17] = generator.integers(0, 256, (11, 14, 3))
        return Image.fromarray(pixels)

    # Names of fillers that come between those of a pair: in the second list other images come first.
    images = {f"filler_{number}.png": image() for number in range(23)}
    images |= {f"state_{number}15.png": image() for number in range(3)}
    for condition in ("novel", "state"):
        for number in range(5):
            for side in (1, 2):
                images[f"{condition}_{number}{side}.png"] = image()
    lists = (root / "list_1", root / "list_2")
    for folder, seen in zip(lists, ("2", "1"), strict=True):
        for name, picture in images.items():
            condition = name.split("_")[0]
            paired = len(name) == len("state_01.png") and condition != "filler"
            places = ["study/study"] if not paired or name[-5] == seen else []
            if paired:
                places.append(f"test/{condition}_{'seen' if name[-5] == seen else 'unseen'}/{condition}_{name[-5]}")
            for place in places:
                (folder / place).mkdir(parents=True, exist_ok=True)
                picture.save(folder / place / name)
    return lists


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def clusters() -> Tensor:
    """Colours as k-means makes them of images on white ground: several whites, equal and nearly equal ones."""
    colours = torch.rand(COLOURS, 3, generator=torch.Generator().manual_seed(0)) * 255
    colours[2] = 255.0
    colours[5:7] = 255.0
    colours[7] = 255.0 - 2**-16
    return colours


@pytest.fixture(scope="module")
def palette(clusters: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("palette") / "palette"
    Palette(clusters.double() / 127.5 - 1, SIDE).save_pretrained(folder)
    return folder


def protocol(stimuli: Path | None, out: Path, **others: Any) -> MemoryOptions:
    return MemoryOptions.of(stimuli=stimuli, out=out, protocol="igpt2022", **others)


@pytest.fixture(scope="module")
def run(lists: tuple[Path, Path], palette: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole protocol, both lists and two seeds, with a tiny new GPT."""
    options = protocol(lists[0], tmp_path_factory.mktemp("run") / "run", tokenizer=palette, **TINY, exposures=EXPOSURES)
    run_memory(options)
    return options.out


def nll_by_name(rows: list[TrialRow], exposure: int) -> dict[str, float]:
    """The NLL of every tested image after an exposure, by file name."""
    taken = [row for row in rows if row.exposure == exposure and row.readout == "weights"]
    found = {Path(row.studied).name: row.nll_studied for row in taken}
    return found | {Path(row.foil).name: row.nll_foil for row in taken}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("version", ["as_given", "swapped"])
def test_every_tested_image_has_the_nll_of_the_published_loop(
    lists: tuple[Path, Path], clusters: Tensor, run: Path, version: str, seed: int
) -> None:
    folder = lists[version == "swapped"]
    studied = published_tokens(folder / "study", clusters)
    tested: dict[str, Tensor] = {}
    for condition in sorted((folder / "test").iterdir()):
        tested |= published_tokens(condition, clusters)
    torch.manual_seed(seed)
    model = MinGPT(**TINY, vocabulary=COLOURS, positions=SIDE**2 - 1)
    rows = read_trials(run / "runs" / f"{version}_{seed}" / "trials.csv")
    compare_scores(rows, model, tested, torch.stack(list(studied.values())), seed, EXPOSURES, 1e-5)


def compare_scores(
    rows: list[TrialRow], model: MinGPT, tested: dict[str, Tensor], items: Tensor, seed: int, epochs: int, within: float
) -> None:
    """Hold the NLL of every tested item beside that of the published loop, before study and after each exposure."""
    assert nll_by_name(rows, 0) == pytest.approx(scores(model, tested), abs=within)
    before = scores(model, tested)
    for exposure in published_study(model, items, seed, epochs):
        assert nll_by_name(rows, exposure) == pytest.approx(scores(model, tested), abs=within)
    # What is compared has moved by far more than that.
    after = scores(model, tested)
    assert max(abs(after[name] - before[name]) for name in tested) > 1000 * within


def test_the_second_published_list_is_the_first_one_swapped(lists: tuple[Path, Path], run: Path) -> None:
    rows = [row for row in read_trials(run / "trials.csv") if row.version == "swapped"]
    seen = {path.name for path in (lists[1] / "test").glob("*_seen/*/*")}
    assert {Path(row.studied).name for row in rows} == seen
    assert {row.seed for row in rows} == {0, 1}


def test_an_imported_gpt_studies_as_the_published_loop_does(
    lists: tuple[Path, Path], clusters: Tensor, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    model = MinGPT(**TINY, vocabulary=COLOURS, positions=SIDE**2 - 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    torch.save({"model_state_dict": model.state_dict(), "clusters": clusters}, tmp_path / "igpt.pt")
    import_weights(ImportOptions("igpt", tmp_path / "igpt.pt", tmp_path / "gpt", heads=2))
    options = protocol(lists[0], tmp_path / "run", gpt=tmp_path / "gpt", exposures=EXPOSURES, seeds=1, seed=3)
    run_memory(options)
    studied = published_tokens(lists[0] / "study", clusters)
    tested: dict[str, Tensor] = {}
    for condition in sorted((lists[0] / "test").iterdir()):
        tested |= published_tokens(condition, clusters)
    rows = read_trials(tmp_path / "run" / "runs" / "as_given_3" / "trials.csv")
    compare_scores(rows, model, tested, torch.stack(list(studied.values())), 3, EXPOSURES, 1e-5)


def test_noise_is_learned_as_the_published_loop_does(tmp_path: Path) -> None:
    noise = {"noise": 40, "noise_length": 16, "noise_codes": 8}
    options = protocol(None, tmp_path / "run", **noise, **TINY, seeds=1, seed=2)
    assert options.learning.exposures == 50
    run_memory(options)
    torch.manual_seed(2)
    train = torch.randint(0, 8, (40, 16))
    test = torch.randint(0, 8, (40, 16))
    torch.manual_seed(2)  # there the weights are drawn after the sequences
    model = MinGPT(**TINY, vocabulary=8, positions=15)
    tested = {f"noise_{number:05d}": row for number, row in enumerate(train)}
    rows = read_trials(tmp_path / "run" / "runs" / "as_given_2" / "trials.csv")
    seen = [row for row in rows if row.exposure == 0]
    assert len(seen) == 40
    foils = {f"foil_{number:05d}": row for number, row in enumerate(test)}
    named = [
        TrialRow(**{**vars(row), "foil": row.foil.replace("noise_0", "foil_0").replace("noise_unseen", "x")})
        for row in rows
    ]
    compare_scores(named, model, tested | foils, train, 2, 50, 1e-5)
