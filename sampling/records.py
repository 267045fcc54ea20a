"""What a run of `secondsight complete` keeps of its items, and the tables made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sampling.completion import Completion, Drawn
from sampling.distance import distances_to_truth
from sampling.gallery import GalleryItem
from sampling.inputs import Job
from storage.files import atomic_write
from storage.tables import write_rows


@dataclass(frozen=True)
class Record:
    """What is kept of a finished item."""

    drawn: Drawn
    distances: tuple[float, ...]
    """Of each continuation to the truth; empty without one."""
    changed: int | None
    """Prompt tokens that differ between the encodings `alone` and `full`, where that was counted."""

    @property
    def entropy_bits(self) -> float:
        """Entropy of the model's distributions in bits, sum over the imagined tokens, mean over the continuations."""
        return float(self.drawn.entropy.double().nansum()) / len(self.drawn.entropy) / math.log(2)


def record_path(out: Path, job: Job) -> Path:
    """Return the file whose being there says that an item is finished."""
    return out / "items" / f"{job.stem}.npz"


def write_record(path: Path, completion: Completion, changed: int | None) -> None:
    """Write what is kept of an item, beside and renamed."""
    distances, counts = distances_to_truth(completion), [] if changed is None else [changed]
    save = partial(
        np.savez_compressed,
        tokens=completion.tokens.numpy(),
        log_probability=completion.log_probability.numpy(),
        entropy=completion.entropy.numpy(),
        distances_to_truth=np.array(distances),
        prompt_tokens_changed=np.array(counts, dtype=np.int64),
    )
    atomic_write(path, save)


def read_record(path: Path) -> Record:
    """Read what `write_record` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        names = ("tokens", "log_probability", "entropy")
        drawn = Drawn(*(torch.from_numpy(kept[name]) for name in names))
        changed = kept["prompt_tokens_changed"].tolist()
        return Record(drawn, tuple(kept["distances_to_truth"].tolist()), changed[0] if changed else None)


def gallery_item(job: Job, record: Record, video: bool) -> GalleryItem:
    """Return an item's line on the page and in `items.csv`."""
    distances = record.distances
    return GalleryItem(
        name=job.name,
        stem=job.stem,
        video=video,
        distance_to_truth=sum(distances) / len(distances) if distances else None,
        best_distance=min(distances) if distances else None,
        entropy_bits=record.entropy_bits,
        source=job.source,
    )


def write_arrays(out: Path, records: Sequence[Record]) -> None:
    """Write `tokens.npy` (items, n, L) int64, `log_probabilities.npy` and `entropies.npy` (items, n, L) float32."""
    names = {"tokens": "tokens", "log_probability": "log_probabilities", "entropy": "entropies"}
    for part, name in names.items():
        rows: list[Tensor] = [getattr(record.drawn, part).flatten(1) for record in records]
        array = torch.stack(rows).numpy()
        atomic_write(out / f"{name}.npy", partial(np.save, arr=array))


def write_items(path: Path, entries: Sequence[GalleryItem]) -> None:
    """Write `items.csv`: a row per item, with the fields of `GalleryItem`."""
    write_rows(path, entries, GalleryItem)
