"""What is finished of a run: the rows and token grids of some items, continued in one way, in a file each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.diversity.tables import AuditRow, ItemRow
from sampling.options import PromptEncoding
from storage.files import atomic_write


@dataclass(frozen=True)
class Part:
    """Some items, continued in one way; b of them, n continuations each, G generated of L tokens."""

    rows: tuple[ItemRow, ...]
    audit: tuple[AuditRow, ...]
    tokens: Tensor
    """(b, n, L) int64: the continuations with their prompts."""
    entropy_bits: Tensor
    """(b, G) float64: mean over the continuations."""
    truth_bits: Tensor
    """(b, G) float64: minus the binary logarithm of the probability of the truth's tokens."""

    def encoded(self, encoding: PromptEncoding) -> Part:
        """Return the same for another encoding that has the same prompts."""
        return replace(
            self,
            rows=tuple(replace(row, encoding=encoding) for row in self.rows),
            audit=tuple(replace(row, encoding=encoding) for row in self.audit),
        )


def part_of(path: Path, make: Callable[[], Part]) -> Part:
    """Return the part that `path` holds; make and write it if it does not exist."""
    if not path.exists():
        part = make()
        tables = {"rows": [asdict(row) for row in part.rows], "audit": [asdict(row) for row in part.audit]}
        save = partial(
            np.savez_compressed,
            tokens=part.tokens.numpy(),
            entropy_bits=part.entropy_bits.numpy(),
            truth_bits=part.truth_bits.numpy(),
            tables=np.array(json.dumps(tables)),
        )
        atomic_write(path, save)
    with np.load(path, allow_pickle=False) as kept:
        tables = json.loads(str(kept["tables"]))
        return Part(
            rows=tuple(ItemRow(**row) for row in tables["rows"]),
            audit=tuple(AuditRow(**row) for row in tables["audit"]),
            tokens=torch.from_numpy(kept["tokens"]),
            entropy_bits=torch.from_numpy(kept["entropy_bits"]),
            truth_bits=torch.from_numpy(kept["truth_bits"]),
        )


def join_parts(parts: Sequence[Part]) -> Part:
    """Return the parts of different items as one."""
    return Part(
        rows=tuple(row for part in parts for row in part.rows),
        audit=tuple(row for part in parts for row in part.audit),
        tokens=torch.cat([part.tokens for part in parts]),
        entropy_bits=torch.cat([part.entropy_bits for part in parts]),
        truth_bits=torch.cat([part.truth_bits for part in parts]),
    )
