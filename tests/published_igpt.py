"""The published experiment of Orhan (2022), written here once more with torch and torchvision alone.

It follows the public code (arXiv 2204.13061) in what it does: images listed by ImageFolder, scaled by Resize, coloured
in float32; a minGPT under a seed; sixteen processes, each with its own share of DistributedSampler's order, whose
gradients are averaged; a fresh Adam, nothing clipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DistributedSampler, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import Resize

PROCESSES = 16
TINY: dict[str, Any] = {"layers": 2, "heads": 2, "width": 16}
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
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
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
    samplers: list[DistributedSampler[Any]] = [
        DistributedSampler(TensorDataset(items), PROCESSES, rank, seed=seed) for rank in range(PROCESSES)
    ]
    for epoch in range(epochs):
        model.train()
        shares = []
        for sampler in samplers:
            sampler.set_epoch(epoch)
            shares.append(torch.tensor(list(sampler)).split(2))
        for of_processes in zip(*shares, strict=True):
            # All shares are equally long, so that the mean of their gradients is the gradient of their mean.
            model.zero_grad()
            model(items[torch.cat(of_processes)]).mean().backward()
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
