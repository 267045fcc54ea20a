"""The items of a run of `secondsight complete`: found, chosen evenly, read in batches, and what is kept of each."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.errors import MediaError
from data.images import read_sides
from data.items import Item, find_items, split_items
from data.prepared import open_prepared
from data.probe import probe_video
from data.sources import Skipped
from data.split import group_of
from sampling.completion import Completion, distances_to_truth
from sampling.counting import arrays_of, counts_from
from sampling.gallery import GalleryItem
from sampling.options import Split
from sampling.parallel import DecodingCounts
from sampling.sampled import Sampled
from storage.arrays import READING, load_arrays, save_arrays
from storage.files import atomic_write
from storage.records import digest_of
from storage.run_folder import RunFolderError

Value = TypeVar("Value")

GREY_LEVELS = 8
"""Levels, of 255, by which the colours of a grey pixel may differ: videos keep colours coarsely."""
GREY_SHARE = 0.001
"""Share of the pixels of a grey clip that may be coloured."""


@dataclass(frozen=True)
class CompletionItem:
    """One item to complete."""

    index: int
    """Among all items of the run; chance depends on it."""
    found: Item | None
    """The clip or image of the input that it is; None where nothing is given."""

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"item_{self.index:03d}"

    @property
    def name(self) -> str:
        """What people read."""
        if self.found is None:
            return "imagined"
        start = f" from {self.found.start:.6g} s" if self.found.source.kind == "video" else ""
        return self.found.source.name + start

    @property
    def source(self) -> str:
        """The file it comes from; empty where nothing is given."""
        return self.found.source.name if self.found else ""


@dataclass(frozen=True)
class FinishedItem:
    """What is kept of an item that is finished."""

    item: CompletionItem
    sampled: Sampled
    """(n, t, h, w), on the CPU."""
    distances: tuple[float, ...]
    """Of each continuation to the truth; empty without one."""
    prompt_tokens_changed: int | None
    """Prompt tokens that differ between the encodings `alone` and `full`, where that was counted."""
    counts: DecodingCounts | None = None
    """Of the whole batch that it was sampled in; None in files of versions that did not count."""

    @property
    def entropy_bits(self) -> float:
        """Entropy of the model's distributions in bits, sum over the imagined tokens, mean over the continuations."""
        return float(self.sampled.entropy.double().nansum()) / len(self.sampled) / math.log(2)


def choose_items(
    paths: Sequence[Path], form: ClipFormat, count: int, split: Split = "all", group_by: str | None = None
) -> tuple[list[CompletionItem], list[Skipped]]:
    """Return at most `count` items, evenly spread over the input, and the files that cannot be used.

    As equally many of each group of sources as there are, however many clips it has; groups, and items in a group, lie
    evenly among all of them.

    Args:
        paths: folders, files or patterns of tar shards; none where nothing is given, which makes one item.
        form: the clips to cut videos into.
        count: items that are wanted.
        split: which of the items of a path they are chosen from.
        group_by: what the split keeps together: see `data.items.find_sources`.

    Raises:
        MediaError: a path holds nothing usable, more than half of its files are unusable, or videos and images are
            mixed.
    """
    if not paths:
        return [CompletionItem(0, None)], []
    items: list[Item] = []
    skipped: list[Skipped] = []
    for path in paths:
        found, unusable = find_items(path, form, group_by=None if split == "all" else group_by)
        items += _of_split(found, split)
        skipped += unusable
    if form.frames > 1 and len({item.source.kind for item in items}) > 1:
        raise MediaError("--input names both videos and images: complete them in two runs")
    chosen = _spread(items, min(count, len(items)))
    return [CompletionItem(index, item) for index, item in enumerate(chosen)], skipped


def describe_resizing(items: Sequence[CompletionItem], size: int) -> str | None:
    """Return what is done with images that are not `size` pixels square, in words; None if there are none.

    Raises:
        MediaError: an image cannot be read.
    """
    sides = [sides_of(item.found) for item in items if item.found]
    others = sum(each != (size, size) for each in sides)
    if not others:
        return None
    verb = "is" if others == 1 else "are"
    said = f"{others} of {len(items)} items {verb} not {size}x{size} pixels: scaled, and cut to that square."
    smaller = sum(shorter < size for shorter, _ in sides)
    if not smaller:
        return said
    verb, they, them = ("is", "it is", "it") if smaller == 1 else ("are", "they are", "them")
    return f"{said} {smaller} {verb} smaller: enlarged, {they} blurred before the model sees {them}."


def sides_of(item: Item) -> tuple[int, int]:
    """Return the shorter and the longer side of an item in pixels as it lies on disk.

    Raises:
        MediaError: it cannot be read.
    """
    if item.source.kind == "image" and item.source.prepared is None:
        return read_sides(item.source.image_bytes())
    if item.source.prepared is not None:
        width, height = open_prepared(item.source.path).image_size(item.source.prepared)
    else:
        info = probe_video(item.source.bytes_of_file, item.source.table)
        width, height = info.width, info.height
    return min(width, height), max(width, height)


def are_grey(clips: Tensor) -> Tensor:
    """Return which of clips (B, 3, T, H, W) in [-1, 1] have no colours but for rounding and compression: (B,) bool."""
    levels = (clips.amax(dim=1) - clips.amin(dim=1)) * 127.5
    return (levels > GREY_LEVELS).float().flatten(1).mean(dim=1) <= GREY_SHARE


def describe_grey(grey: int, read: int) -> str | None:
    """Return what people should know where all of several items that were read are grey, otherwise None."""
    if not read or grey < read:
        return None
    whose = "The item is" if read == 1 else f"All {read} items that were read are"
    return f"{whose} grey: what colours appear in continuations are the model's own."


def read_clips(
    items: Sequence[CompletionItem], form: ClipFormat, unread: list[Skipped]
) -> tuple[list[CompletionItem], Tensor | None]:
    """Return the items that can be read, and their clips (B, 3, T, H, W) in [-1, 1]; None where nothing is given.

    What cannot be read is appended to `unread`.
    """
    ready: list[CompletionItem] = []
    clips: list[Tensor] = []
    for item in items:
        if item.found is None:
            return [item], None
        try:
            clips.append(ClipDataset([item.found], form).read(item.found))
            ready.append(item)
        except MediaError as error:
            unread.append(Skipped(item.source, str(error)))
    return ready, torch.stack(clips) if clips else None


def finished_path(out: Path, item: CompletionItem) -> Path:
    """Return the file whose being there says that an item is finished."""
    return out / "items" / f"{item.stem}.npz"


def write_finished(
    path: Path,
    completion: Completion,
    prompt_tokens_changed: int | None,
    identity: str = "",
    counts: DecodingCounts | None = None,
) -> None:
    """Write what is kept of an item; the file appears complete or not at all.

    Args:
        path: of the file.
        completion: of the item.
        prompt_tokens_changed: prompt tokens that differ between the encodings, where that was counted.
        identity: digest of what the item is completed from, see `identity_of`.
        counts: of the batch that it was sampled in, if they are known.
    """
    sampled = completion.sampled
    changed = [] if prompt_tokens_changed is None else [prompt_tokens_changed]
    arrays = {
        "tokens": sampled.tokens.numpy(),
        "log_probability": sampled.log_probability.numpy(),
        "entropy": sampled.entropy.numpy(),
        "distances_to_truth": np.array(distances_to_truth(completion)),
        "prompt_tokens_changed": np.array(changed, dtype=np.int64),
        **({} if counts is None else arrays_of(counts)),
    }
    save_arrays(path, arrays, identity)


def identity_of(run: str, item: CompletionItem) -> str:
    """Return a digest of an item and of the run, itself a digest, that completes it; empty for no run."""
    start = item.found.start if item.found else None
    return digest_of({"run": run, "item": item.index, "source": item.source, "start": start}) if run else ""


def is_finished(out: Path, item: CompletionItem, run: str) -> bool:
    """Whether what is kept of an item is there; say so, and remove it, if it cannot be used.

    Args:
        out: the run folder.
        item: in question.
        run: digest of what decides the results of the run.
    """
    path = finished_path(out, item)
    try:
        _load_finished(path, item, run)
    except FileNotFoundError:
        return False
    except READING as error:
        print(f"{path} is damaged, or of another run or version ({error}): it is made again", file=sys.stderr)
        if not path.is_dir():
            path.unlink()
        return False
    return True


def read_finished(out: Path, items: Sequence[CompletionItem], run: str = "") -> list[FinishedItem]:
    """Return what `write_finished` kept of those items that are finished.

    Raises:
        RunFolderError: a file is damaged, of another run (a digest of what decides its results), or of a version that
            kept something else.
    """
    return [_read_finished(finished_path(out, item), item, run) for item in items if finished_path(out, item).exists()]


def gallery_item(finished: FinishedItem, video: bool) -> GalleryItem:
    """Return an item's line on the page and in `items.csv`."""
    distances = finished.distances
    return GalleryItem(
        name=finished.item.name,
        stem=finished.item.stem,
        video=video,
        distance_to_truth=sum(distances) / len(distances) if distances else None,
        best_distance=min(distances) if distances else None,
        entropy_bits=finished.entropy_bits,
        source=finished.item.source,
    )


def write_arrays(out: Path, finished: Sequence[FinishedItem]) -> None:
    """Write `tokens.npy` (items, n, L) int64, `log_probabilities.npy` and `entropies.npy` (items, n, L) float32."""
    rows = [kept.sampled.map(lambda part: part.flatten(1)) for kept in finished]
    arrays = {
        "tokens": torch.stack([row.tokens for row in rows]),
        "log_probabilities": torch.stack([row.log_probability for row in rows]),
        "entropies": torch.stack([row.entropy for row in rows]),
    }
    for name, array in arrays.items():
        atomic_write(out / f"{name}.npy", partial(np.save, arr=array.numpy()))


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` of the items, in their order, as equally many of each group of sources as there are."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(group_of(item.source), []).append(item)
    taken = dict.fromkeys(groups, 0)
    while count:
        open_groups = [name for name in groups if taken[name] < len(groups[name])]
        for name in _evenly(open_groups, min(count, len(open_groups))):
            taken[name] += 1
            count -= 1
    chosen = {id(item) for name, number in taken.items() for item in _evenly(groups[name], number)}
    return [item for item in items if id(item) in chosen]


def _evenly(values: Sequence[Value], count: int) -> list[Value]:
    """Return `count` of the values that lie evenly among them."""
    return [values[index * len(values) // count] for index in range(count)]


def _of_split(items: list[Item], split: Split) -> list[Item]:
    if split == "all":
        return items
    training, validation = split_items(items)
    return training if split == "train" else validation


def _read_finished(path: Path, item: CompletionItem, run: str) -> FinishedItem:
    try:
        return _load_finished(path, item, run)
    except READING as error:
        raise RunFolderError(
            f"{path} is damaged, of another run, or of an older version ({error}): delete it and continue with "
            "--resume auto, or begin anew with --overwrite"
        ) from error


def _load_finished(path: Path, item: CompletionItem, run: str) -> FinishedItem:
    arrays = load_arrays(path, identity_of(run, item))
    names = ("tokens", "log_probability", "entropy")
    sampled = Sampled(*(torch.from_numpy(arrays[name]) for name in names))
    distances = tuple(arrays["distances_to_truth"].tolist())
    changed = arrays["prompt_tokens_changed"].tolist()
    return FinishedItem(item, sampled, distances, changed[0] if changed else None, counts_from(arrays))
