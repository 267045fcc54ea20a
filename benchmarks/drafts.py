"""Which drafts are right most often, and where in a clip?

    python benchmarks/drafts.py --gpt demo/gpt --tokens demo/tokens --out docs/drafts.png

Every kind of draft for a position that no pass has reached yet, compared by the passes it takes; what was last drawn at
a position is the draft from then on with all of them. The plot shows how often drafts are right by how far ahead they
lie, and how many tokens a pass draws by position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from parallel_decoding import Options as Task
from parallel_decoding import prompts
from torch import Tensor

from data.tokens import TokenStore
from gpt.config import GPTConfig
from gpt.model import GPT
from sampling import parallel
from sampling.decode import sample
from sampling.drafts import Drafts
from sampling.noise import GumbelNoise, row_keys
from sampling.options import SamplingOptions
from sampling.parallel import DecodingCounts
from sampling.sampled import FREE


@dataclass(frozen=True)
class Options:
    """What is continued."""

    gpt: Path
    """The GPT: a run or a model folder."""
    tokens: Path
    """Its token store."""
    items: int = 8
    """Held-out items."""
    window: int = 16
    """Tokens of a window."""
    out: Path = Path("drafts.png")
    """The plot."""


class Watched(Drafts):
    """Notes where windows begin."""

    begun: list[int]

    def fill(self, offsets: Tensor) -> Tensor:
        self.begun.append(int(offsets[0, 0]))
        return super().fill(offsets)


class Left(Watched):
    """The token before."""

    def __init__(self, config: GPTConfig, tokens: Tensor, start: int, stop: int) -> None:
        super().__init__(config, tokens, start, stop)
        self.back = 1

    def fill(self, offsets: Tensor) -> Tensor:
        filled = super().fill(offsets)
        known = self.tokens.gather(1, self.start + offsets[:, :1])
        unknown = self.tokens.gather(1, self.start + offsets).eq(FREE) & self.drawn.gather(1, offsets).eq(FREE)
        return torch.where(unknown, known, filled)


class Proposed(Watched, ABC):
    """What a proposal of probabilities and the noise of the position draw."""

    keys: Tensor

    @abstractmethod
    def propose(self, offsets: Tensor, logits: Tensor) -> Tensor:
        """Return log-probabilities (R, W, V) of what stands at offsets, which no pass has reached."""

    def learn(self, offsets: Tensor, drawn: Tensor, logits: Tensor) -> None:
        super().learn(offsets, drawn, logits)
        ahead = offsets[:, -1:] + 1 + torch.arange(offsets.shape[1])
        ahead = ahead.clamp(max=self.drawn.shape[1] - 1)
        noise = GumbelNoise(self.keys)
        tolerance = torch.zeros(ahead.shape)
        guess, _ = noise.draw_at(self.start + ahead, self.propose(ahead, logits), SamplingOptions(), tolerance)
        there = self.drawn.gather(1, ahead)
        self.drawn.scatter_(1, ahead, torch.where(there == FREE, guess, there))


class LastLogits(Proposed):
    """The model's own prediction for the last place of the window."""

    def propose(self, offsets: Tensor, logits: Tensor) -> Tensor:
        return logits[:, -1:].expand(-1, offsets.shape[1], -1).contiguous()


class Frequent(Proposed):
    """How often codes occur in the store."""

    counted: Tensor

    def propose(self, offsets: Tensor, logits: Tensor) -> Tensor:
        return self.counted.expand(*offsets.shape, -1).contiguous()


class AfterRow(Proposed):
    """How often codes follow the code one row before in the store: a model of pairs."""

    pairs: Tensor

    def propose(self, offsets: Tensor, logits: Tensor) -> Tensor:
        before = self.tokens.gather(1, (self.start + offsets - self.back).clamp(min=0)).clamp(min=0)
        return self.pairs[before]


KINDS: dict[str, type[Watched]] = {
    "the row before (chosen)": Watched,
    "the token before": Left,
    "the model's last prediction, with noise": LastLogits,
    "frequencies in the store, with noise": Frequent,
    "pairs in the store, with noise": AfterRow,
}


def count_store(options: Options, config: GPTConfig) -> None:
    """Give the kinds that propose from the store their tables, from its training items."""
    store = TokenStore(options.tokens)
    tokens = store.read(store.split("train"))
    back = config.grid[1] * config.grid[2] if config.grid[0] > 1 else config.grid[2]
    counts = torch.full((config.vocab_size,), 0.5).index_add(0, tokens.flatten(), torch.ones(tokens.numel()))
    Frequent.counted = counts.log()
    index = (tokens[:, :-back] * config.vocab_size + tokens[:, back:]).flatten()
    pairs = torch.bincount(index, minlength=config.vocab_size**2).view(config.vocab_size, -1).float()
    shares = counts / counts.sum()
    AfterRow.pairs = (pairs + 20 * shares).log()


def tokens_by_position(begun: list[list[int]], last: int, parts: int = 32) -> NDArray[np.float64]:
    """Return how many tokens a pass draws in each of `parts` stretches up to the last position."""
    passes = np.histogram(np.concatenate(begun), bins=parts, range=(0, last))[0]
    return len(begun) * last / parts / np.maximum(passes, 1)


def main(options: Options) -> None:
    """Print the passes that every kind of draft takes, and draw the plot."""
    torch.set_num_threads(1)
    gpt = GPT.from_pretrained(options.gpt).eval()
    rows = prompts(Task(options.gpt, options.tokens, options.items), gpt.device)
    free = int((rows[0] == FREE).sum())
    count_store(options, gpt.config)
    figure, (by_distance, by_position) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, kind in KINDS.items():
        # Drafts change no token, so which are made is no option of `sample`.
        parallel.Drafts = kind  # type: ignore[misc]
        counts, begun = DecodingCounts(), []
        for item, row in enumerate(rows):
            kind.begun = []
            Proposed.keys = row_keys(0, [item], 1)
            sample(gpt, row, items=[item], window=options.window, counts=counts)
            begun.append(kind.begun)
        passes, drawn = counts.passes / len(rows), counts.tokens / counts.passes
        print(f"{name}: {passes:.1f} passes for {free} tokens, {drawn:.2f} a pass")
        shares = np.array(counts.accepted) / np.array(counts.offered)
        by_distance.plot(np.arange(1, len(shares) + 1), shares, marker="o", markersize=3, label=name)
        last = free - options.window  # from there on no window begins later
        by_position.plot((np.arange(32) + 0.5) / 32 * last, tokens_by_position(begun, last), label=name)
    by_distance.set(xlabel="positions ahead of the last known token", ylabel="drafts that are right", ylim=(0, 1))
    by_position.set(xlabel="position behind the prompt", ylabel="tokens a pass", ylim=(0, None))
    by_distance.legend(fontsize=8)
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main(tyro.cli(Options))
