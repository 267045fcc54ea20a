"""The ladder: which trainings there are for sizes, amounts of data, budgets and seeds, and what each takes.

A budget, in FLOP, becomes optimizer steps of each size, by the project's own count (`gpt.flops`), in which the head and
attention are counted. All budgets of a size, an amount of data and a seed share a trunk, trained at a constant rate;
each cell, one budget, leaves it where its decay begins (Haegele et al. 2024, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from data.errors import TokenStoreError
from data.subset import clip_of, rank
from data.tokens import TokenStore
from experiments.scaling.options import LadderOptions
from gpt.config import PRESETS, GPTConfig
from gpt.flops import LOOKED_UP, describe_weights, flops_per_token, parameter_count
from storage.options import MANY, find_preset

SLACK = 1e-3
"""By how much, as a share, more may be asked for than there is, so that rounded amounts mean everything."""


@dataclass(frozen=True)
class Size:
    """A size of models."""

    name: str
    """Of a preset, or `width-256`."""
    config: GPTConfig
    """Its architecture, for the tokens of the ladder."""
    rate_at_width: int
    """Width for which the learning rate is given; 0 leaves it as it is."""


@dataclass(frozen=True)
class DataPart:
    """Training items to learn from: all of a store, or a part of it."""

    name: str
    """`all`, or how much was asked for, such as `hours-1.5`."""
    clips: int | None
    """Clips of it; None means all."""
    items: int
    """Items, all crops of the clips."""
    tokens: int
    """Tokens of these items."""
    hours: float | None
    """Hours of film that the clips cover together; None of images."""


@dataclass(frozen=True)
class Trunk:
    """What all budgets of a size have in common: a training at a constant rate."""

    size: Size
    data: DataPart
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.size.name}_{self.data.name}_seed-{self.seed}"


@dataclass(frozen=True)
class Cell:
    """A training of one budget."""

    trunk: Trunk
    budget: float
    """FLOP that were asked for."""
    batch: int
    """Sequences per step."""
    steps: int
    """Optimizer steps."""
    decay_steps: int
    """The last of them, in which the rate falls."""
    added_steps: int
    """Steps that are taken for it alone, when those of smaller budgets are done: of the trunk, and its decay."""
    left_out: str
    """Why it is not trained; empty if it is."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.trunk.name}_flop-{self.budget:g}"

    @property
    def branch(self) -> int:
        """Steps of the trunk after which it goes its own way."""
        return self.steps - self.decay_steps

    @property
    def data(self) -> int:
        """Tokens seen."""
        return self.steps * self.batch * self.trunk.size.config.window

    @property
    def unique_data(self) -> int:
        """Different tokens among them."""
        return min(self.data, self.trunk.data.tokens)

    @property
    def compute(self) -> float:
        """FLOP of the training, its part of the trunk included."""
        return float(self.data * flops_per_token(self.trunk.size.config))

    @property
    def added_compute(self) -> float:
        """FLOP of the steps that are taken for it alone."""
        return self.added_steps * flops_per_step(self.trunk.size.config, self.batch)


@dataclass(frozen=True)
class Ladder:
    """All trainings."""

    cells: list[Cell]
    """Also those that are left out; the cells of a trunk lie together, the smallest budget first."""

    @cached_property
    def trained(self) -> list[Cell]:
        """The cells that are trained."""
        return [cell for cell in self.cells if not cell.left_out]

    @cached_property
    def by_trunk(self) -> dict[Trunk, list[Cell]]:
        """The cells that are trained, by trunk."""
        found: dict[Trunk, list[Cell]] = {}
        for cell in self.trained:
            found.setdefault(cell.trunk, []).append(cell)
        return found

    @cached_property
    def sizes(self) -> list[Size]:
        """The sizes of which a cell is trained."""
        return list(dict.fromkeys(trunk.size for trunk in self.by_trunk))

    @cached_property
    def parts(self) -> list[DataPart]:
        """The amounts of data."""
        return list(dict.fromkeys(trunk.data for trunk in self.by_trunk))

    @property
    def compute(self) -> float:
        """FLOP of all steps that are taken."""
        return sum(cell.added_compute for cell in self.trained)

    @property
    def compute_apart(self) -> float:
        """FLOP if each cell were trained from its beginning."""
        return sum(cell.compute for cell in self.trained)


def make_ladder(options: LadderOptions, store: TokenStore) -> Ladder:
    """Return the trainings that are asked for on a token store.

    Raises:
        TokenStoreError: the store has no items for training or none for validation, or less than is asked for.
        ValueError: there is no such preset, no size can spend a budget, or options do not fit together.
    """
    _check_split(store)
    sizes = make_sizes(options, store)
    parts = make_parts(options, store)
    cells = [
        cell
        for seed in range(options.seeds)
        for part in parts
        for size in sizes
        for cell in _cells_of(options, Trunk(size, part, seed))
    ]
    _check_budgets(options, cells)
    return Ladder(cells)


def make_sizes(options: LadderOptions, store: TokenStore) -> list[Size]:
    """Return the sizes, for the tokens of a store.

    Raises:
        ValueError: there is no such preset, or a width does not make a GPT.
    """
    named: dict[str, GPTConfig] = {name: find_preset(name, PRESETS) for name in options.presets}
    for width in options.widths:
        named[f"width-{width}"] = GPTConfig(layers=options.layers, heads=width // options.head_size, width=width)
    metadata = store.metadata
    configs = {
        name: config.for_tokens(metadata.grid, metadata.vocab_size, metadata.tokenizer)
        for name, config in named.items()
    }
    first = next(iter(configs.values())).width
    at = first if options.rate_at_width is None else options.rate_at_width
    return [Size(name, config, at) for name, config in configs.items()]


def make_parts(options: LadderOptions, store: TokenStore) -> list[DataPart]:
    """Return the amounts of data that are asked for; a smaller one is a part of each larger.

    Raises:
        TokenStoreError: there is less, or hours are asked for of images.
        ValueError: an amount is less than a clip, or two are the same clips.
    """
    items = [item for item in store.items if item.split == "train"]
    clips = sorted({clip_of(item) for item in items}, key=rank)
    length = store.metadata.length
    whole = DataPart("all", None, len(items), len(items) * length, film_hours(clips, store))
    if options.hours and whole.hours is None:
        raise TokenStoreError(f"{store.folder} holds images, which have no --hours: give --unique-tokens")
    asked = {f"hours-{amount:g}": amount / (whole.hours or 1) for amount in options.hours}
    asked |= {f"tokens-{amount:g}": amount / whole.tokens for amount in options.unique_tokens}
    parts = [whole] if not asked else []
    for name, share in asked.items():
        if share > 1 + SLACK:
            raise TokenStoreError(f"{store.folder} has {_amount(whole)} for training, less than {name}: ask for less")
        chosen = clips[: min(len(clips), round(share * len(clips)))]
        if not chosen:
            raise ValueError(f"{name} is less than one clip of {store.folder}: ask for more")
        inside = set(chosen)
        count = sum(clip_of(item) in inside for item in items)
        number = len(chosen) if len(chosen) < len(clips) else None
        parts.append(DataPart(name, number, count, count * length, film_hours(chosen, store)))
    for one, other in pairwise(sorted(parts, key=lambda part: part.items)):
        if one.items == other.items:
            raise ValueError(f"{one.name} and {other.name} are the same clips of {store.folder}: leave one out")
    return parts


def film_hours(clips: Sequence[tuple[str, float]], store: TokenStore) -> float | None:
    """Return how many hours of film clips cover together, where they overlap counted once; None of images.

    Args:
        clips: source and start in seconds of each, none twice.
        store: which they are from.
    """
    metadata = store.metadata
    if metadata.frames == 1:
        return None
    seconds = metadata.frames / metadata.fps
    ordered = sorted(clips)
    following = [*ordered[1:], ("", 0.0)]
    covered = (
        min(seconds, later - start) if source == other else seconds
        for (source, start), (other, later) in zip(ordered, following, strict=True)
    )
    return sum(covered) / 3600


def non_embedding_parameters(config: GPTConfig) -> int:
    """Return the number of parameters that are not looked up: all but embeddings and learned positions.

    The head, which is a matrix of its own, counts.
    """
    shapes = describe_weights(config).items()
    return parameter_count(config) - sum(shape.numel() for name, shape in shapes if name.startswith(LOOKED_UP))


def flops_per_step(config: GPTConfig, batch: int) -> float:
    """Return the FLOP of an optimizer step of so many sequences."""
    return float(flops_per_token(config) * config.window * batch)


def steps_of(options: LadderOptions, size: Size, budget: float) -> int:
    """Return the optimizer steps that a size makes of a budget in FLOP."""
    return round(budget / flops_per_step(size.config, options.batch))


def decay_steps_of(options: LadderOptions, steps: int) -> int:
    """Return in how many of so many steps the learning rate falls."""
    return max(1, round(options.decay * steps))


def hindrance(options: LadderOptions, steps: int) -> str:
    """Return why a training cannot have so many optimizer steps, empty if it can."""
    decay = decay_steps_of(options, steps)
    if steps < 1:
        return "a step takes more"
    if steps > MANY:
        return f"{steps:.3g} steps are more than a training can have"
    if options.warmup + decay > steps or decay == steps:
        return f"{steps} steps are too few for a warm-up of {options.warmup} and a decay of {decay}"
    return ""


def _cells_of(options: LadderOptions, trunk: Trunk) -> list[Cell]:
    cells: list[Cell] = []
    reached = 0
    for budget in sorted(options.budgets):
        steps = steps_of(options, trunk.size, budget)
        decay = decay_steps_of(options, steps)
        why = hindrance(options, steps)
        added = 0 if why else steps - reached
        if not why:
            reached = steps - decay
        cells.append(Cell(trunk, budget, options.batch, steps, decay, added, why))
    return cells


def _check_split(store: TokenStore) -> None:
    for split, words in (("train", "to learn from"), ("validation", "whose loss could be measured")):
        if not any(item.split == split for item in store.items):
            raise TokenStoreError(f"{store.folder} has no {split} items {words}: encode more sources, or other groups")


def _check_budgets(options: LadderOptions, cells: Sequence[Cell]) -> None:
    """Refuse budgets that no size can spend, and steps that are too few to try a rate."""
    why = hindrance(options, options.rate_steps) if options.rate_steps is not None else ""
    if why:
        raise ValueError(f"--rate-steps {options.rate_steps}: {why}; give more, or a smaller --warmup")
    for budget in options.budgets:
        of_budget = [cell for cell in cells if cell.budget == budget]
        if all(cell.left_out for cell in of_budget):
            most = max(of_budget, key=lambda cell: cell.steps)
            step = flops_per_step(most.trunk.size.config, options.batch)
            advice = "give a larger budget, narrower models, or a smaller --batch or --warmup"
            raise ValueError(
                f"--budgets {budget:g} can be spent by no size: of {most.trunk.size.name}, whose step takes {step:.3g} "
                f"FLOP, {most.left_out}; {'give a smaller budget' if most.steps > MANY else advice}"
            )


def _amount(part: DataPart) -> str:
    tokens = f"{part.tokens:,} tokens"
    return tokens if part.hours is None else f"{tokens}, {part.hours:.4g} hours,"
