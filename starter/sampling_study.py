"""Chooses the sampling settings that a model recommends, by completing the same held-out items under many of them.

    python -m starter.sampling_study --gpt GPT --tokenizer TOKENIZER --input PHOTOS --prompt half-image --out OUT

OUT/items.csv      a row for each setting and item (`starter.sampling_choice.ItemRow`); a setting with rows is finished
OUT/table.csv      a row for each setting (`SettingRow`), the recommended one marked
OUT/settings.png   diversity against distance to the truth, identification (.pdf and .svg beside it)
OUT/settings.json  temperature, top_k, top_p and min_p that are recommended
OUT/study.json     the models, the items and the perceptual network

How settings are measured and chosen is told in starter/sampling_choice.py. The truth is what the tokenizer makes of
the original, so that what it cannot say does not count. All settings have the same chance: the same seeds for the same
items and positions. A study that was stopped goes on with the same command.

Axes: I items, N continuations of each, T frames, H rows, W columns of pixels; t, h, w of the token grid, L tokens.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.inputs import check_data
from data.skipping import check_skipped
from data.sources import Skipped
from experiments.diversity.distances import EmbeddingDistance, Generated, build_distances
from gpt.model import GPT
from sampling.decode import sample
from sampling.items import CompletionItem, choose_items, read_clips
from sampling.options import STILL_KINDS, Prompt, Request, SamplingOptions, Split
from sampling.prompts import Layout, encode_prompt, lay_out, size_of
from starter.sampling_choice import (
    ItemRow,
    SettingGrid,
    SettingRow,
    combined_settings,
    describe_setting,
    first_settings,
    summarise,
)
from starter.sampling_figure import draw_settings
from storage.beginning import check_beginning
from storage.checked_files import parse_json
from storage.checksums import fingerprint
from storage.endings import what_happened
from storage.files import to_json, write_text
from storage.lock import FolderLock
from storage.model_paths import check_gpt, check_model
from storage.options import LARGEST_SEED, Options, about, leaves, option
from storage.parser import call_tyro, flatten, parser_type
from storage.records import digest_of
from storage.run_folder import RunFolderError, open_run
from storage.tables import read_rows, write_rows
from storage.terminal import visible
from training.processes import best_device
from training.progress import Progress, say_done, say_found
from vqgan.grouping import group_by_of
from vqgan.metrics.features import WeightsMissingError
from vqgan.metrics.perceptual import build_perceptual
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer

CLIPS_AT_ONCE = 8
"""Clips that the tokenizer encodes or decodes together."""
NETWORKS = ("lpips", "efficientnet-lite0")
"""Perceptual distances, the first of which is taken whose weights are here."""


@dataclass(frozen=True)
class SamplingStudyOptions(Options):
    """Choose the sampling settings that a model recommends."""

    command = "sampling study"
    begun_with = ("items.csv",)
    example = "python -m starter.sampling_study --gpt GPT --tokenizer TOKENIZER --input PHOTOS --out OUT"

    gpt: Path = field(metadata=about(must_hold=check_gpt))
    """The GPT."""
    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer of its tokens."""
    input: tuple[Path, ...] = field(metadata=about(must_hold=check_data))
    """Videos or images that neither of them was trained on."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for tables, figure and settings.json."""
    prompt: Literal["half-image", "half-clip"] = "half-image"
    """What is given of each item."""
    split: Split = "all"
    """Everything in --input, or only what trainings keep for training or for validation."""
    items: int = option(48, at_least=2, at_most=10**6)
    """Items to complete, spread evenly over the input."""
    n: int = option(4, at_least=2, at_most=10_000)
    """Continuations of each."""
    batch: int = option(16, at_least=1, at_most=10**6)
    """Items continued side by side."""
    grid: SettingGrid = option(SettingGrid())
    perceptual: str = "auto"
    """Perceptual distance: lpips, efficientnet-lite0, timm:<model>:<weights file>; `auto` is lpips where its weights
    are, otherwise efficientnet-lite0."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """The same seed gives the same tables."""
    resume: Literal["auto"] = option("auto", identity="none")
    """Settings that are finished in --out are kept."""
    overwrite: bool = option(False, identity="none")
    """Replace the study that --out holds."""


def main(words: Sequence[str]) -> None:
    """Run the study that words on the command line ask for.

    Raises:
        SystemExit: with 2 if they mean nothing, with 1 if it cannot be done, which is said in one line.
    """
    kind = SamplingStudyOptions
    defaults = {name: leaf.default for name, leaf in leaves(kind).items()}
    parsed = call_tyro(parser_type(kind, defaults), "sampling_study", words, kind.__doc__)
    options = None
    try:
        options = kind.of(**flatten(parsed, leaves(kind)))
        check_beginning(options)
        study_sampling(options)
    except Exception as error:
        said = what_happened(error, options)
        if said is None:
            raise
        sys.exit(f"sampling_study: {visible(said)}")


def study_sampling(options: SamplingStudyOptions) -> Path:
    """Measure all settings, and choose one; see the module for the files written into `options.out`.

    Returns:
        The path of settings.json.

    Raises:
        MediaError: the input holds nothing usable.
        MismatchError: GPT, tokenizer and input do not belong together.
        RunFolderError: `options.out` holds a study of other options, models or items.
        ValueError: there are not two items to tell apart, or the prompt does not fit them.
    """
    with FolderLock(options.out, wait=True):
        study = _prepare(options)
        _begin(study, options)
        rows = read_rows(options.out / "items.csv", ItemRow) if (options.out / "items.csv").exists() else []
        rows = _measure_missing(study, first_settings(options.grid, study.gpt.config.vocab_size), rows, options)
        rows = _measure_missing(study, combined_settings(by_setting(rows)), rows, options)
        chosen = _write_summary(rows, options)
    say_done(options.out / "settings.json", describe_setting(chosen))
    return options.out / "settings.json"


def by_setting(rows: Sequence[ItemRow]) -> dict[SamplingOptions, list[ItemRow]]:
    """Return rows by their setting, in the order in which settings come first."""
    found: dict[SamplingOptions, list[ItemRow]] = {}
    for row in rows:
        found.setdefault(row.setting, []).append(row)
    return found


@dataclass(frozen=True)
class Study:
    """What is the same under all settings."""

    gpt: GPT
    tokenizer: Tokenizer
    items: list[CompletionItem]
    layout: Layout
    given: Tensor
    """(I, L) int64: the prompts' tokens, encoded alone, `FREE` where tokens are to be sampled."""
    truths: Generated
    """What the tokenizer makes of the originals, (I, ...): what lies behind the prompts."""
    pixels: EmbeddingDistance
    perceptual: EmbeddingDistance
    embedded: Tensor
    """(I, D): the truths' pixels."""
    network: str
    """Name of the perceptual distance."""

    @property
    def identity(self) -> dict[str, str]:
        """What decides the rows, options aside."""
        items = [[item.source, item.found.start if item.found else None] for item in self.items]
        return {
            "gpt": fingerprint(self.gpt.description, self.gpt.state_dict()),
            "tokenizer": self.tokenizer.fingerprint,
            "items": digest_of(items),
            "perceptual": self.network,
        }


def _prepare(options: SamplingStudyOptions) -> Study:
    """Load the models, choose and read the items, and encode their prompts and truths."""
    device = best_device()
    gpt = GPT.from_pretrained(options.gpt).to(device)
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    form = ClipFormat(1 if options.prompt in STILL_KINDS else tokenizer.frames, tokenizer.fps, tokenizer.size)
    group_by = group_by_of(options.tokenizer, None, options.tokenizer)
    chosen, _ = choose_items(options.input, form, options.items, options.split, group_by)
    unread: list[Skipped] = []
    items, clips = read_clips(chosen, form, unread)
    check_skipped(unread, len(chosen), options.input[0])
    if clips is None or len(items) < 2:
        raise ValueError(f"continuations are identified among at least 2 items, and --input has {len(items)}")
    prompt = Prompt(options.prompt)
    layout = lay_out(gpt, tokenizer, size_of(clips), Request(prompt, options.n))
    network = find_network() if options.perceptual == "auto" else options.perceptual
    pixels, _, perceptual = build_distances(network, "none", device)
    given, truths = _encode(tokenizer, clips, prompt, layout)
    say_found(items=f"{len(items)}, {options.n} continuations each", perceptual=network)
    return Study(
        gpt=gpt,
        tokenizer=tokenizer,
        items=items,
        layout=layout,
        given=given,
        truths=truths,
        pixels=pixels,
        perceptual=perceptual,
        embedded=pixels.embed(truths),
        network=network,
    )


def find_network() -> str:
    """Return the name of the first of `NETWORKS` whose weights are here.

    Raises:
        WeightsMissingError: none has.
    """
    for name in NETWORKS[:-1]:
        try:
            build_perceptual(name)
        except WeightsMissingError:
            continue
        return name
    build_perceptual(NETWORKS[-1])
    return NETWORKS[-1]


def _encode(tokenizer: Tokenizer, clips: Tensor, prompt: Prompt, layout: Layout) -> tuple[Tensor, Generated]:
    """Return the prompts' tokens, placed in free grids, and the truths, of clips (I, 3, T, H, W), a few at a time."""
    given = []
    tokens = []
    with torch.no_grad():
        for some in clips.split(CLIPS_AT_ONCE):
            given.append(layout.place(encode_prompt(tokenizer, some.to(tokenizer.device), prompt)))
            tokens.append(tokenizer.encode(some.to(tokenizer.device)))
    return torch.cat(given), _generated(tokenizer, torch.cat(tokens), layout)


def _generated(tokenizer: Tokenizer, grids: Tensor, layout: Layout) -> Generated:
    """Return what lies behind the prompt of token grids (B, t, h, w), as tokens and as the tokenizer shows it."""
    frames, rows, _ = layout.extent.pixels
    whole_frames = rows == layout.size[1]
    parts = []
    with torch.no_grad():
        for some in grids.split(CLIPS_AT_ONCE):
            clips = tokenizer.decode_frames(some, layout.size[0]).cpu()
            parts.append(clips[:, :, frames:] if whole_frames else clips[:, :, :, rows:])
    return Generated(pixels=torch.cat(parts), tokens=grids.cpu()[:, ~layout.given])


def _begin(study: Study, options: SamplingStudyOptions) -> None:
    """Make `out` the folder of this study, or go on in it.

    Raises:
        RunFolderError: it holds a study of other options, models or items.
    """
    out = options.out
    if options.overwrite:
        (out / "items.csv").unlink(missing_ok=True)
    begun = (out / "items.csv").exists()
    open_run(out, options, "auto", options.overwrite, begun=begun)
    if begun:
        before = parse_json((out / "study.json").read_text(encoding="utf-8"))
        other = [name for name, value in study.identity.items() if before.get(name) != value]
        if other:
            raise RunFolderError(
                f"{out} holds a study whose {', '.join(other)} differs: choose another --out, or begin anew with "
                "--overwrite"
            )
    write_text(out / "study.json", to_json(study.identity))


def _measure_missing(
    study: Study, settings: Sequence[SamplingOptions], rows: list[ItemRow], options: SamplingStudyOptions
) -> list[ItemRow]:
    """Return the rows with those of settings that have none yet; after each setting they are written."""
    missing = [setting for setting in settings if setting not in by_setting(rows)]
    with Progress("Measuring", len(missing)) as progress:
        for done, setting in enumerate(missing, start=1):
            rows = [*rows, *measure_setting(study, setting, options)]
            write_rows(options.out / "items.csv", rows, ItemRow)
            progress.show(done)
    return rows


def measure_setting(study: Study, setting: SamplingOptions, options: SamplingStudyOptions) -> list[ItemRow]:
    """Complete all items under a setting and return a row for each."""
    rows = []
    for first in range(0, len(study.items), options.batch):
        indices = range(first, min(first + options.batch, len(study.items)))
        given = study.given[first : indices.stop]
        sampled = sample(study.gpt, given, options.n, setting, options.seed, indices, precision="fp32")
        grids = sampled.tokens.unflatten(-1, study.layout.grid)
        made = _generated(study.tokenizer, grids.flatten(0, 1), study.layout)
        for number, index in enumerate(indices):
            part = slice(number * options.n, (number + 1) * options.n)
            of_item = Generated(made.pixels[part], made.tokens[part])
            rows.append(_row(study, setting, index, measure_item(study, of_item, index)))
    return rows


def measure_item(study: Study, made: Generated, index: int) -> dict[str, float]:
    """Return the measures of `ItemRow` of the N continuations of an item, by name."""
    truth = Generated(study.truths.pixels[index : index + 1], study.truths.tokens[index : index + 1])
    together = Generated(torch.cat([made.pixels, truth.pixels]), torch.cat([made.tokens, truth.tokens]))
    perceptual = study.perceptual.embed(together)
    pixels = study.pixels.embed(together)
    to_truth, between = _distances(study.perceptual, perceptual)
    to_truth_pixel, between_pixel = _distances(study.pixels, pixels)
    return {
        "identified": _share_identified(study.pixels.between(pixels[:-1], study.embedded), index),
        "truth_perceptual": float(to_truth.mean()),
        "truth_pixel": float(to_truth_pixel.mean()),
        "between_perceptual": float(between.mean()),
        "between_pixel": float(between_pixel.mean()),
        "energy": float(to_truth.sqrt().mean() - between.sqrt().mean() / 2),
    }


def _distances(distance: EmbeddingDistance, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return distances to the last of vectors (N + 1, D), (N,), and those of all pairs of the others."""
    of_all = distance.between(vectors, vectors)
    first, second = torch.triu_indices(len(vectors) - 1, len(vectors) - 1, offset=1)
    return of_all[:-1, -1].double(), of_all[first, second].double()


def _share_identified(distances: Tensor, own: int) -> float:
    """Return how often, in distances (N, I) to the truths, that to the item's own is the smallest."""
    others = torch.cat([distances[:, :own], distances[:, own + 1 :]], dim=1)
    return float((distances[:, own] < others.amin(dim=1)).double().mean())


def _row(study: Study, setting: SamplingOptions, index: int, measures: dict[str, float]) -> ItemRow:
    return ItemRow(
        temperature=setting.temperature,
        top_k=setting.top_k,
        top_p=setting.top_p,
        min_p=setting.min_p,
        item=index,
        source=study.items[index].source,
        **measures,
    )


def _write_summary(rows: Sequence[ItemRow], options: SamplingStudyOptions) -> SamplingOptions:
    """Write table, figure and settings; return the setting that was chosen."""
    table = summarise(by_setting(rows), options.seed)
    chosen = next(row.setting for row in table if row.chosen)
    write_rows(options.out / "table.csv", table, SettingRow)
    draw_settings(options.out / "settings.png", table)
    names = ("temperature", "top_k", "top_p", "min_p")
    settings: dict[str, Any] = {name: value for name, value in asdict(chosen).items() if name in names}
    write_text(options.out / "settings.json", to_json(settings))
    return chosen


if __name__ == "__main__":
    main(sys.argv[1:])
