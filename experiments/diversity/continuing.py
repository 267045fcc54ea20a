"""Continuing all items from prompts of one length, batch by batch: sampled, decoded, measured.

Every finished batch is kept in a file of its own, so that an interrupted run does none of it again. It has digests of
its content and of what it is the batch of; one that is damaged or of another run is made again. Items are always
continued beside the same others, so that an interruption changes no rounding.

Axes: b items of a batch, n continuations of each; of L tokens P are given and G generated.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from data.items import Item
from experiments.diversity.baselines import Baselines
from experiments.diversity.conditions import ConditionColumns, Group
from experiments.diversity.distances import EmbeddingDistance, Generated
from experiments.diversity.material import PromptLength
from experiments.diversity.metrics import embed_truths, measure
from experiments.diversity.tables import MODEL, AuditRow, BestRow, ItemRow, PositionRow
from experiments.diversity.training_set import TrainingTokens
from experiments.statistics.grouped import Grouping, mean_of
from gpt.model import GPT
from sampling.decode import sample
from sampling.options import PromptEncoding, SamplingOptions, SamplingPrecision, WindowOption
from sampling.sampled import Sampled
from storage.arrays import load_arrays, save_arrays
from storage.records import digest_of
from vqgan.tokenizer import Tokenizer

NO_SAMPLING = {"temperature": None, "top_k": None, "top_p": None, "min_p": None}
"""The sampling options that are columns of tables, of baselines. Noise, the same in a whole run, is none."""


@dataclass(frozen=True)
class ModelUnderTest:
    """Who continues, and what it is judged by."""

    gpt: GPT
    """Draws the tokens."""
    tokenizer: Tokenizer
    """Makes tokens of pixels and pixels of tokens."""
    training: TrainingTokens
    """What the GPT was trained on."""
    distances: Sequence[EmbeddingDistance]
    """What continuations are compared by."""
    run_columns: Mapping[str, Any]
    """The columns of `ConditionColumns` that are the same in all rows of a run."""
    n: int
    """Continuations of each prompt."""
    seed: int
    """Of the continuations."""
    sampling_precision: SamplingPrecision = "fp32"
    """Of the GPT's blocks while it is sampled from."""
    window: WindowOption = "auto"
    """Tokens of a continuation that a pass of the GPT reads; it changes no token."""
    identity: str = ""
    """Digest of all of this, of the token store and of what else decides the results."""


@dataclass(frozen=True)
class BatchResult:
    """The continuations of some items under one condition."""

    rows: tuple[ItemRow, ...]
    """Of items.csv."""
    best: tuple[BestRow, ...]
    """Of best.csv."""
    audit: tuple[AuditRow, ...]
    """Of audit.csv; none of baselines."""
    tokens: Tensor
    """(b, n, L) int64: the continuations with their prompts."""
    entropy_bits: Tensor
    """(b, G) float64: mean over the continuations."""
    truth_bits: Tensor
    """(b, G) float64: minus the binary logarithm of the probability of the truth's tokens."""

    def encoded(self, encoding: PromptEncoding) -> BatchResult:
        """Return the same for another encoding that has the same prompts."""
        return replace(
            self,
            rows=tuple(replace(row, encoding=encoding) for row in self.rows),
            best=tuple(replace(row, encoding=encoding) for row in self.best),
            audit=tuple(replace(row, encoding=encoding) for row in self.audit),
        )


class Continuing:
    """Continues the items from prompts of one length, a batch at a time.

    Args:
        model: who continues.
        prompts: of one length.
        folder: for the finished batches.
        batch: items continued side by side.
    """

    def __init__(self, model: ModelUnderTest, prompts: PromptLength, folder: Path, batch: int) -> None:
        self.model = model
        self.prompts = prompts
        self.folder = folder / f"given-{prompts.given}"
        self.baselines = Baselines(prompts, model.tokenizer, model.training, model.n)
        self.truths = embed_truths(model.distances, prompts.reconstructions)
        items = range(len(prompts.material.items))
        self.batches = [items[first : first + batch] for first in items[::batch]]

    def with_model(self, encoding: PromptEncoding, setting: SamplingOptions) -> BatchResult:
        """Return what comes of letting the model continue all items."""
        name = (
            f"temperature-{setting.temperature:g}_top-k-{setting.top_k}_top-p-{setting.top_p:g}_min-p-{setting.min_p:g}"
        )
        return self._all_items(name, encoding, lambda items, done: self._let_model_continue(items, done, setting))

    def without_model(self, encoding: PromptEncoding) -> BatchResult:
        """Return the baselines of all items."""
        return self._all_items("baselines", encoding, self._take_baselines)

    def _all_items(
        self, name: str, encoding: PromptEncoding, make: Callable[[Sequence[int], PromptEncoding], BatchResult]
    ) -> BatchResult:
        """Make the batches of a condition that are not finished, and return all of them as one."""
        results = []
        for index, items in enumerate(self.batches):
            # A causal tokenizer makes the same prompts either way, and chance does not depend on the encoding.
            same = not self.prompts.changed[items].any()
            done: PromptEncoding = "alone" if same else encoding
            path = self.folder / f"{name}_{done}" / f"{index:03d}.npz"
            batch = _finished_batch(path, self._identity(items, done, name), partial(make, items, done))
            results.append(batch.encoded(encoding))
        return _concatenate(results)

    def _identity(self, items: Sequence[int], encoding: PromptEncoding, name: str) -> str:
        """Return a digest of what decides the results of a batch."""
        prompts = self.prompts
        tokens = prompts.tokens[encoding][items].numpy().tobytes() + prompts.truths.tokens[items].numpy().tobytes()
        return digest_of(
            {
                "run": self.model.identity,
                "condition": name,
                "encoding": encoding,
                "given": prompts.given,
                "items": [[item, *clip_name(prompts.material.items[item])] for item in items],
                "tokens": hashlib.sha256(tokens).hexdigest(),
            }
        )

    def _let_model_continue(
        self, items: Sequence[int], encoding: PromptEncoding, setting: SamplingOptions
    ) -> BatchResult:
        """Sample, decode and measure the continuations of some items, and look for them in the training set."""
        sampled = self._sample(items, encoding, setting)
        truth_bits = self._truth_bits(items, encoding)
        entropy = sampled.entropy[..., self.prompts.generated_positions]
        entropy_bits = entropy.double().mean(dim=1) / math.log(2)
        rows: list[ItemRow] = []
        best: list[BestRow] = []
        audit: list[AuditRow] = []
        for row, item in enumerate(items):
            grids = sampled.tokens[row].unflatten(1, self.prompts.layout.grid)
            continuations = self.prompts.decode(self.model.tokenizer, grids)
            condition = self._columns(item, encoding, {name: getattr(setting, name) for name in NO_SAMPLING})
            bits = {"entropy_bits": float(entropy_bits[row].sum()), "truth_bits": float(truth_bits[row].sum())}
            of_item, best_of_item = self._item_rows(item, condition, {MODEL: continuations}, bits)
            rows += of_item
            best += best_of_item
            audit += self._audit_rows(item, condition, continuations.tokens)
        return BatchResult(
            rows=tuple(rows),
            best=tuple(best),
            audit=tuple(audit),
            tokens=sampled.tokens,
            entropy_bits=entropy_bits,
            truth_bits=truth_bits,
        )

    def _take_baselines(self, items: Sequence[int], encoding: PromptEncoding) -> BatchResult:
        """Measure the baselines of some items."""
        rows: list[ItemRow] = []
        best: list[BestRow] = []
        for item in items:
            condition = self._columns(item, encoding, NO_SAMPLING)
            bits = {"entropy_bits": None, "truth_bits": None}
            of_item, best_of_item = self._item_rows(item, condition, self.baselines.of(item, encoding), bits)
            rows += of_item
            best += best_of_item
        return BatchResult(
            rows=tuple(rows),
            best=tuple(best),
            audit=(),
            tokens=torch.empty(len(items), 0, 0, dtype=torch.int64),
            entropy_bits=torch.empty(len(items), 0, dtype=torch.float64),
            truth_bits=torch.empty(len(items), 0, dtype=torch.float64),
        )

    def _sample(self, items: Sequence[int], encoding: PromptEncoding, setting: SamplingOptions) -> Sampled:
        """Sample continuations (b, n, L) of the items at some indices, on which chance depends."""
        model = self.model
        given = self.prompts.layout.place(self.prompts.tokens[encoding][items]).to(model.gpt.device)
        sampled = sample(
            model.gpt,
            given,
            model.n,
            setting,
            model.seed,
            items,
            precision=model.sampling_precision,
            window=model.window,
        )
        return sampled.cpu()

    @torch.no_grad()
    def _truth_bits(self, items: Sequence[int], encoding: PromptEncoding) -> Tensor:
        """Return minus the binary logarithm of the probability of each token that really followed: (b, G) float64."""
        prompts = self.prompts.tokens[encoding][items].flatten(1)
        tokens = torch.cat([prompts, self.prompts.truths.tokens[items]], dim=1)
        nats = self.model.gpt.nll(tokens.to(self.model.gpt.device)).cpu()
        return nats[:, self.prompts.generated_positions].double() / math.log(2)

    def _columns(self, item: int, encoding: PromptEncoding, setting: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that say which item was continued, and under which condition."""
        material = self.prompts.material
        return {
            **self.model.run_columns,
            "group": material.groups[item],
            "encoding": encoding,
            "given": self.prompts.given,
            "given_share": self.prompts.given_share,
            **setting,
            "item": item,
            "source": material.items[item].source.name,
            "start": material.items[item].start,
            "source_group": material.source_groups[item],
        }

    def _item_rows(
        self, item: int, condition: Mapping[str, Any], made: Mapping[str, Generated], bits: Mapping[str, Any]
    ) -> tuple[list[ItemRow], list[BestRow]]:
        """Measure what the model or the baselines made of an item."""
        truth = self.prompts.truth(item)
        measured = measure(self.model.distances, made, truth, self.truths, item)
        rows = [
            ItemRow(
                **condition,
                continuation=name,
                n=len(continuations.tokens),
                generated_tokens=continuations.tokens.shape[1],
                prompt_tokens_changed=int(self.prompts.changed[item]),
                generated_pixels=truth.pixels[0, 0].numel(),
                **asdict(measured[name].metrics),
                **bits,
            )
            for name, continuations in made.items()
        ]
        columns = {name: value for name, value in condition.items() if name != "start"}
        best = [BestRow(**columns, continuation=name, **asdict(best)) for name in made for best in measured[name].best]
        return rows, best

    def _audit_rows(self, item: int, condition: Mapping[str, Any], tokens: Tensor) -> Iterator[AuditRow]:
        """Look for the continuations (n, G) of an item in the training tokens."""
        training = self.model.training
        positions = self.prompts.generated_positions
        itself = condition["source"], condition["start"]
        truth = training.nearest(self.prompts.truth(item).tokens, positions, excluded=itself)[0]
        for index, match in enumerate(training.nearest(tokens, positions)):
            nearest = training.item(match.index)
            yield AuditRow(
                **condition,
                continuation_index=index,
                nearest_source=nearest.source,
                nearest_start=nearest.start,
                matching=match.matching,
                own=(nearest.source, nearest.start) == itself,
                truth_matching=truth.matching,
            )


def position_rows(prompts: PromptLength, result: BatchResult) -> Iterator[PositionRow]:
    """Yield the mean entropy and surprise at every generated position, group by group.

    Args:
        prompts: of one length.
        result: of all items, continued by the model under one condition.
    """
    _, h, w = prompts.layout.grid
    for group in get_args(Group):
        members = [index for index, row in enumerate(result.rows) if row.group == group]
        if not members:
            continue
        first = result.rows[members[0]]
        condition = {field.name: getattr(first, field.name) for field in fields(ConditionColumns)}
        grouping = Grouping.of([result.rows[index].group_name for index in members])
        entropy = _means(result.entropy_bits[members], grouping)
        surprise = _means(result.truth_bits[members], grouping)
        for index, position in enumerate(prompts.generated_positions.tolist()):
            yield PositionRow(
                **condition,
                latent_frame=position // (h * w),
                row=position // w % h,
                column=position % w,
                items=len(members),
                groups=grouping.count,
                entropy_bits=entropy.mean[index],
                entropy_low=entropy.low[index],
                entropy_high=entropy.high[index],
                truth_bits=surprise.mean[index],
                truth_low=surprise.low[index],
                truth_high=surprise.high[index],
            )


def clip_name(item: Item) -> tuple[str, float]:
    """Return the source of an item and where it starts there, in seconds."""
    return item.source.name, item.start


def _finished_batch(path: Path, identity: str, make: Callable[[], BatchResult]) -> BatchResult:
    """Return the batch that a file holds; make it and write the file if there is none that can be used."""
    try:
        return _read(path, identity)
    except FileNotFoundError:
        pass
    except (KeyError, TypeError, ValueError) as error:
        print(f"{path} is damaged, or of another run or version ({error}): it is made again", file=sys.stderr)
    _write(path, identity, make())
    return _read(path, identity)


def _concatenate(results: Sequence[BatchResult]) -> BatchResult:
    """Return the results of different items as one."""
    return BatchResult(
        rows=tuple(row for result in results for row in result.rows),
        best=tuple(row for result in results for row in result.best),
        audit=tuple(row for result in results for row in result.audit),
        tokens=torch.cat([result.tokens for result in results]),
        entropy_bits=torch.cat([result.entropy_bits for result in results]),
        truth_bits=torch.cat([result.truth_bits for result in results]),
    )


def _write(path: Path, identity: str, result: BatchResult) -> None:
    tables = {name: [asdict(row) for row in getattr(result, name)] for name in ("rows", "best", "audit")}
    arrays = {
        "tokens": result.tokens.numpy(),
        "entropy_bits": result.entropy_bits.numpy(),
        "truth_bits": result.truth_bits.numpy(),
        "tables": np.array(json.dumps(tables)),
    }
    save_arrays(path, arrays, identity)


def _read(path: Path, identity: str) -> BatchResult:
    kept = load_arrays(path, identity)
    tables = json.loads(str(kept["tables"]))
    return BatchResult(
        rows=tuple(ItemRow(**row) for row in tables["rows"]),
        best=tuple(BestRow(**row) for row in tables["best"]),
        audit=tuple(AuditRow(**row) for row in tables["audit"]),
        tokens=torch.from_numpy(kept["tokens"]),
        entropy_bits=torch.from_numpy(kept["entropy_bits"]),
        truth_bits=torch.from_numpy(kept["truth_bits"]),
    )


@dataclass(frozen=True)
class _Means:
    """Means over items at G positions, with the ends of their intervals."""

    mean: list[float]
    low: list[float | None]
    high: list[float | None]


def _means(bits: Tensor, grouping: Grouping) -> _Means:
    """Return the means over items of (I, G) bits."""
    found = mean_of(bits.numpy(), grouping, "log")
    low, high = ([None if math.isnan(end) else end for end in ends.tolist()] for ends in found.interval())
    return _Means(mean=found.value.tolist(), low=low, high=high)
