"""Quantizers: what turns latent vectors into tokens.

Axes: R rows (vectors), K codes, D dimensions of a code. Two kinds with one contract: codes that are moving averages of
what they stand for (van den Oord et al. 2017, appendix A.1; restart of dead codes after Dhariwal et al. 2020, Jukebox;
unit length after Yu et al. 2022, ViT-VQGAN), and the fixed grid of finite scalar quantization (Mentzer et al. 2024).
All state is in buffers, so a resumed run goes on as it was. Inputs are float32: fewer bits move codes too coarsely.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.processes import from_first_process, process_count, process_index, sum_across_processes
from training.products import exact_products
from training.transfer import to_device

# A code used less often than this share of the average is moved onto a vector of the batch.
DEAD_SHARE = 0.1

CHUNK = 256
"""Rows that a CPU looks for codes of at a time: their scores fit its caches."""
SHARE_OF_GPU = 64
"""Of the memory of a GPU, the share that the scores of a chunk may take: one in so many."""
MOST_BYTES = 2**30
"""Of the scores of a chunk on a GPU, at most: with more it is no faster."""


class Quantized(NamedTuple):
    """Result of a quantizer."""

    codes: Tensor
    """The chosen codes (..., D), with the gradient passed straight through to the input."""
    indices: Tensor
    """Their indices (...), int64."""
    loss: Tensor
    """Commitment loss, a scalar."""


def nearest_code(rows: Tensor, codebook: Tensor, chunk: int | None = None) -> Tensor:
    """Return the index of the nearest of (K, D) codes to each of (R, D) rows: (R,) int64.

    The nearest code maximises z.e - |e|^2 / 2; rows go in chunks, of a size that suits the device if none is given, so
    that the R x K matrix never exists. In float32
    this cannot tell apart codes whose distances agree in their first six digits or so, which does no harm to learned
    codes: rows come out of a network with errors of that size, and such codes stand for the same. It is a product of
    matrices, many times as fast as differences are for wide codes. Colours of a palette are another matter, see
    `vqgan.palette.nearest_colour`. Of codes that score equally the first is taken.
    """
    bias = -0.5 * codebook.square().sum(dim=1)
    transposed = codebook.T.contiguous()
    chunk = chunk or rows_at_once(len(codebook), rows.device)
    with exact_products():
        return torch.cat([torch.addmm(bias, part, transposed).argmax(dim=1) for part in rows.split(chunk)])


def rows_at_once(codes: int, device: torch.device) -> int:
    """Return how many rows are compared with so many codes at a time.

    On a GPU as many as its memory allows, because every chunk costs it two launches: all of a batch, as a rule.
    """
    if device.type != "cuda":
        return CHUNK
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(CHUNK, min(MOST_BYTES, memory // SHARE_OF_GPU) // (4 * codes))


class VectorQuantizer(nn.Module):
    """Replaces vectors by the nearest of K codes.

    Args:
        codes: number of codes K.
        width: dimensions of a code D.
        commitment: weight of the commitment loss.
        decay: decay of the moving averages.
        normalised: bring vectors and codes to unit length, so that the nearest code is that of the nearest direction.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    initialised: Tensor

    def __init__(self, codes: int, width: int, commitment: float, decay: float, normalised: bool = False) -> None:
        super().__init__()
        self.commitment = commitment
        self.decay = decay
        self.normalised = normalised
        self._started = False
        codebook = torch.randn(codes, width)
        self.register_buffer("codebook", F.normalize(codebook, dim=1) if normalised else codebook)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, z: Tensor) -> Quantized:
        """Quantize (..., D) vectors; in training, move the codes towards them."""
        if self.normalised:
            z = F.normalize(z, dim=-1)
        rows = z.detach().flatten(0, -2)
        if self.training and not self._has_started():
            self._start(rows)
        indices = nearest_code(rows, self.codebook)
        codes = self.indices_to_codes(indices).view_as(z)
        loss = self.commitment * (z - codes).square().mean()
        if self.training:
            self._update(rows, indices)
        return Quantized(z + (codes - z).detach(), indices.view(z.shape[:-1]), loss)

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Return the (..., D) codes of (...) indices."""
        return self.codebook[indices]

    def _has_started(self) -> bool:
        """Whether the codes were started, which is read from the device until they were, and then known."""
        self._started = self._started or bool(self.initialised)
        return self._started

    def _load_from_state_dict(self, *arguments: Any) -> None:
        """Load buffers, `initialised` among them, which may be False again."""
        self._started = False
        super()._load_from_state_dict(*arguments)

    @torch.no_grad()
    def _start(self, rows: Tensor, rounds: int = 10) -> None:
        """Put the codes on k-means centres of the first batch without a NaN (Lloyd's algorithm)."""
        if not torch.isfinite(sum_across_processes(rows.sum())):
            return
        self.codebook.copy_(_shared_sample(rows, len(self.codebook)))
        for _ in range(rounds):
            counts, sums = _statistics(rows, nearest_code(rows, self.codebook), len(self.codebook))
            filled = counts > 0
            self.codebook[filled] = self._centres(sums[filled], counts[filled])
        share = counts.sum() / len(counts)
        self.counts.copy_(counts.clamp(min=share * DEAD_SHARE))
        self.sums.copy_(self.codebook * self.counts[:, None])
        self.initialised.fill_(True)

    @torch.no_grad()
    def _update(self, rows: Tensor, indices: Tensor) -> None:
        """Move the codes; everything is decided on the device, because asking it would make a GPU wait."""
        found, found_sums = _statistics(rows, indices, len(self.codebook))
        counts = self.counts.lerp(found, 1 - self.decay)
        sums = self.sums.lerp(found_sums, 1 - self.decay)
        share = found.sum() / len(found)
        dead = counts < DEAD_SHARE * share
        fresh = _shared_sample(rows, len(self.codebook))
        counts = torch.where(dead, share, counts)
        sums = torch.where(dead[:, None], fresh * share, sums)
        # One bad row would otherwise spread to every code it is nearest to, for ever.
        good = torch.isfinite(found_sums).all()
        self.counts.copy_(torch.where(good, counts, self.counts))
        self.sums.copy_(torch.where(good, sums, self.sums))
        self.codebook.copy_(torch.where(good, self._centres(sums, counts), self.codebook))

    def _centres(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Return the codes (K, D) of the vectors that sum to (K, D), so many each (K,)."""
        return F.normalize(sums, dim=1) if self.normalised else sums / counts[:, None]


class FiniteScalarQuantizer(nn.Module):
    """Rounds every dimension of a vector to one of a few levels (Mentzer et al. 2024): nothing to learn, none unused.

    Args:
        levels: levels of each of the D dimensions; the number of codes is their product.
    """

    reach: Tensor
    offset: Tensor
    basis: Tensor
    levels: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        steps = torch.tensor(levels)
        basis = torch.tensor([math.prod(levels[:index]) for index in range(len(levels))])
        # An even number of levels has no middle: the bounds are shifted so that rounding still gives all of them.
        self.register_buffer("levels", steps, persistent=False)
        self.register_buffer("reach", (steps - 1) * 1.001 / 2, persistent=False)
        self.register_buffer("offset", (1 - steps % 2) / 2, persistent=False)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, z: Tensor) -> Quantized:
        """Quantize (..., D) vectors; the loss is zero."""
        bounded = (z + (self.offset / self.reach).atanh()).tanh() * self.reach - self.offset
        rounded = bounded.round()
        # A vector that is not a number gets a token that exists; the loss it leads to stops the training.
        digits = rounded.detach().nan_to_num() + self.levels // 2
        indices = (digits.long() * self.basis).sum(dim=-1)
        codes = (bounded + (rounded - bounded).detach()) / (self.levels // 2)
        return Quantized(codes, indices, z.new_zeros(()))

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Return the (..., D) codes of (...) indices."""
        digits = indices[..., None] // self.basis % self.levels
        return (digits - self.levels // 2) / (self.levels // 2)


def _statistics(rows: Tensor, indices: Tensor, codes: int) -> tuple[Tensor, Tensor]:
    """Return how many rows each code got and their sum, over all processes."""
    counts = rows.new_zeros(codes).index_add_(0, indices, rows.new_ones(len(rows)))
    sums = rows.new_zeros(codes, rows.shape[1]).index_add_(0, indices, rows)
    return sum_across_processes(counts), sum_across_processes(sums)


def _shared_sample(rows: Tensor, count: int) -> Tensor:
    """Return `count` random rows out of those of all processes, the same on every process."""
    drawn = from_first_process(to_device(torch.randint(len(rows) * process_count(), (count,)), rows.device))
    own = drawn // len(rows) == process_index()
    return sum_across_processes(torch.where(own[:, None], rows[drawn % len(rows)], 0))
