"""An episodic store: what a GPT has seen is written down beside its weights, once, and looked up when it is tested.

Like kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172) and the continuous cache (Grave et al. 2017, arXiv 1612.04426) it
keeps, for every token read, a hidden state and the token that came next; nearby states vote for their tokens with a
Gaussian kernel, as in neural episodic control (Pritzel et al. 2017, arXiv 1703.01988). Two things differ, because the
sequences are images, and are to be known again when they have changed a little. A key is the mean over the last row's
worth of states, each scaled to length 1: single states change completely when an image moves by one token, their mean
over a row hardly does. And keys are compared with those of the same position and its neighbours on the row only.

Axes: B images, N stored images, L tokens, P positions that are predicted (L, or L - 1 without a BOS token), D width, R
rows of tokens, K nearest keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.model import GPT

NEIGHBOURS = 64
"""Nearest keys of each position that vote for the next token."""
REACH = 1
"""Positions before and behind that are searched as well."""
TEMPERATURE = 0.003
"""Squared distance between keys over which the kernel falls by a factor e; keys are at most 2 apart."""
MIXTURE = 0.5
"""Weight of the store's prediction (lambda of kNN-LM); the rest is that of the model's weights."""
BATCH = 16
"""Images that the model reads at once."""


@dataclass(frozen=True)
class EpisodicScores:
    """How images look beside what is stored; lower is more familiar. Both are float32 on the CPU."""

    nll: Tensor
    """(B,) mean NLL per scored token of the mixed prediction, in nats."""
    familiarity: Tensor
    """(B,) negative log kernel similarity to the nearest stored image, mean per row; 0 for that image itself."""


class EpisodicStore:
    """Keys and values of images that a GPT has read, searched exactly by faiss.

    It takes 4 * D bytes per token on the CPU: 655 MB for 2,500 images of 256 tokens at width 256.

    Args:
        gpt: the model, put into evaluation mode when it reads. Its weights must stay as they are, because keys of other
            weights are not comparable.
        layer: block whose output makes the keys, from 1 to the number of blocks.

    Raises:
        ValueError: there is no such block, or faiss is not installed.
    """

    def __init__(self, gpt: GPT, layer: int) -> None:
        if not 1 <= layer <= len(gpt.blocks):
            raise ValueError(
                f"--store-layer {layer} is not one of the {len(gpt.blocks)} blocks of the GPT: give 1 or more"
            )
        self.faiss = _import_faiss()
        self.gpt = gpt
        self.layer = layer
        self.tokens = torch.zeros(0, 0, dtype=torch.int64)
        """(N, P) int64, the value of every key."""
        self.keys: list[Any] = []
        """A faiss index of the N keys (D,) at each position, in the order of `tokens`; none while nothing is stored."""
        self.images: Any = None
        """A faiss index of the N whole images (R * D,): their keys at the ends of rows, one after another."""

    def write(self, tokens: Tensor) -> None:
        """Store images, given as (B, L) int64 tokens.

        Raises:
            ValueError: they have other lengths than those that are stored.
        """
        self._check_length(tokens)
        for batch in tokens.split(BATCH):
            keys, _ = self._read(batch)
            self._add(keys, batch[:, self.gpt.first_scored :].cpu())

    def score(self, tokens: Tensor) -> EpisodicScores:
        """Judge images, given as (B, L) int64 tokens.

        As long as nothing is stored the weights predict alone and all images are equally familiar.

        Raises:
            ValueError: they have other lengths than those that are stored.
        """
        self._check_length(tokens)
        keys, nll = (torch.cat(batches) for batches in zip(*map(self._read, tokens.split(BATCH)), strict=True))
        if not self.keys:
            return EpisodicScores(nll.mean(dim=1), torch.zeros(len(tokens)))
        recalled = self._recall(keys, tokens[:, self.gpt.first_scored :].cpu())
        mixed = torch.logaddexp(math.log(1 - MIXTURE) - nll, math.log(MIXTURE) + recalled.log())
        whole = self._whole(keys)
        squared, _ = self.images.search(whole.numpy(), 1)
        rows = whole.shape[1] // keys.shape[2]
        return EpisodicScores(-mixed.mean(dim=1), torch.from_numpy(squared)[:, 0] / (rows * TEMPERATURE))

    def _add(self, keys: Tensor, values: Tensor) -> None:
        """Store keys (B, P, D) and their values (B, P)."""
        if not self.keys:
            self.tokens = values[:0]
            self.keys = [self.faiss.IndexFlatL2(keys.shape[2]) for _ in range(keys.shape[1])]
            self.images = self.faiss.IndexFlatL2(self._whole(keys).shape[1])
        self.tokens = torch.cat([self.tokens, values])
        for position, index in enumerate(self.keys):
            index.add(keys[:, position].contiguous().numpy())
        self.images.add(self._whole(keys).numpy())

    def _recall(self, keys: Tensor, tokens: Tensor) -> Tensor:
        """Return the probability (B, P) that the store gives to each of the tokens (B, P) at keys (B, P, D).

        It is the share of the votes for the token.
        """
        shares = []
        for position in range(len(self.keys)):
            squared, said = self._search(keys[:, position].contiguous(), position)
            votes = (-squared / TEMPERATURE).softmax(dim=1)
            shares.append((votes * (said == tokens[:, position, None])).sum(dim=1))
        return torch.stack(shares, dim=1)

    def _search(self, keys: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Return squared distances (B, K) of keys (B, D) to the nearest around a position, and their tokens (B, K)."""
        squared = []
        said = []
        for near in range(max(0, position - REACH), min(position + REACH + 1, len(self.keys))):
            distances, found = self.keys[near].search(keys.numpy(), min(NEIGHBOURS, len(self.tokens)))
            squared.append(torch.from_numpy(distances))
            said.append(self.tokens[:, near][torch.from_numpy(found)])
        return torch.cat(squared, dim=1), torch.cat(said, dim=1)

    def _whole(self, keys: Tensor) -> Tensor:
        """Return of keys (B, P, D) those (B, R * D) that cover each row of tokens once, counted from the end."""
        return keys.flip(1)[:, :: self.gpt.config.grid[2]].flatten(1)

    @torch.inference_mode()
    def _read(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys (B, P, D) and the NLL (B, P) of images (B, L), float32 on the CPU."""
        self.gpt.eval()
        read: list[Tensor] = []
        hook = self.gpt.blocks[self.layer - 1].register_forward_hook(lambda block, given, states: read.append(states))
        try:
            nll = self.gpt.nll(tokens)[:, self.gpt.first_scored :]
        finally:
            hook.remove()
        states = F.normalize(read[0].float(), dim=-1)
        return trailing_mean(states, self.gpt.config.grid[2]).cpu(), nll.float().cpu()

    def _check_length(self, tokens: Tensor) -> None:
        stored = self.gpt.first_scored + len(self.keys)
        if self.keys and tokens.shape[1] != stored:
            raise ValueError(f"images of {tokens.shape[1]} tokens do not compare with those stored, of {stored}")


def trailing_mean(states: Tensor, count: int) -> Tensor:
    """Return the mean of the last `count` states at each position of (B, P, D); those before the first count as 0."""
    return F.avg_pool1d(F.pad(states.mT, (count - 1, 0)), count, stride=1).mT.contiguous()


def _import_faiss() -> ModuleType:
    try:
        return import_module("faiss")
    except ImportError as error:
        needed = "an episodic store needs a package: pip install '.[episodic]' in the folder of Secondsight's source"
        raise ValueError(needed) from error
