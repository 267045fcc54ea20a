"""Reconstruct a data set and measure how well: `metrics.json`, `items.csv` and `reconstructions.png`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from data.clip_format import ClipFormat
from data.clips import read_batches
from data.drawing import Tile, draw_grid, image_of, save_image
from data.items import LISTING, Item, describe_items, find_items, split_items
from data.skipping import describe_skipped, write_skipped
from storage.files import to_json, write_text
from storage.tables import write_table
from training.options import InferencePrecision
from training.precision import layers_in, settle
from training.processes import best_device, describe_device
from training.products import at_least_fp32
from training.progress import Progress, say_done, say_found
from vqgan.grouping import describe_groups, group_by_of
from vqgan.metrics.colour import Kept, measure_kept, overall_kept
from vqgan.metrics.frechet import FrechetDistance, build_frechet, build_fvd
from vqgan.metrics.perceptual import build_perceptual, check_size, frame_distance
from vqgan.metrics.reconstruction import (
    SSIM_WINDOW,
    codebook_usage,
    has_ssim,
    perplexity,
    psnr,
    rate_bits_per_pixel,
    ssim,
)
from vqgan.model import load_tokenizer
from vqgan.options import EvaluateOptions
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class ItemScore:
    """How well one item was reconstructed."""

    source: str
    """File it was cut out of."""
    start: float
    """Seconds into a video; 0 for an image."""
    psnr_db: float
    """Peak signal-to-noise ratio in dB, on pixels in [0, 1]; 100 where it is higher, or nothing was lost."""
    ssim: float | None
    """Structural similarity on pixels in [0, 1], mean over the frames; 1 is equal. Empty below 11 pixels a side."""
    perceptual: float | None
    """Distance of the network of `--perceptual`, empty without one; the column is called `lpips` if that is it."""
    chroma_error: float
    """Mean distance of the colours of pixels in the plane of a* and b* of CIELAB, lightness left out."""
    chroma: float
    """Mean chroma of the original, in CIELAB; below 1 it counts as grey."""
    saturation_kept: float | None
    """Mean chroma of the reconstruction over that of the original; empty where the original is grey."""
    gradient: float
    """Mean length of the gradient of the original's luma on [0, 1], per pixel; below .001 it counts as flat."""
    sharpness_ratio: float | None
    """Mean length of the gradient of the reconstruction over that of the original; empty where that is flat."""


def evaluate(options: EvaluateOptions) -> dict[str, float]:
    """Reconstruct every clip of a data set; write the files named above and return the metrics.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
        WeightsMissingError: the weights of a network that was asked for are not on this machine.
        ValueError: a weights file holds something else, or there are too few, too short or too small clips for a
            distance that was asked for.
    """
    device = best_device()
    options, precision = settle(options, "precision", device)
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    perceptual = build_perceptual(options.perceptual)
    if perceptual is not None:
        check_size(perceptual, tokenizer.clip_format.size)
        perceptual.to(device)
    distances = [distance for distance in (build_frechet(options.frechet),) if distance]
    form = tokenizer.clip_format
    group_by = group_by_of(options.tokenizer, options.group_by, options.data) if options.split != "all" else None
    items, skipped = find_items(options.data, form, cache=options.out / LISTING, group_by=group_by)
    if options.split == "validation":
        items = split_items(items)[1]
    say_found(
        device=describe_device(device),
        tokenizer=tokenizer.describe(),
        data=describe_items(items),
        split=options.split,
        **describe_groups(group_by),
        skipped=describe_skipped(skipped),
        precision=precision or options.precision,
    )
    frames = 1 if items[0].source.kind == "image" else form.frames
    if options.fvd:
        distances.append(build_fvd(options.fvd, frames))
    for distance in distances:
        distance.check(clips=len(items), frames=frames)
    if not has_ssim(form.size, form.size):
        _say_without_ssim(form.size)
    with Progress("Evaluating", len(items)) as progress:
        batches = read_batches(items, form, options.batch, skipped)
        scores, tokens = measure(tokenizer, batches, perceptual, distances, progress, options.precision)
    name = "lpips" if options.perceptual == "lpips" else "perceptual"
    metrics = {
        **_mean_scores(list(scores.values()), name),
        **_code_metrics(tokens, tokenizer.vocab_size, pixels=frames * form.size**2),
        **{distance.key: distance.compute() for distance in distances},
    }
    write_skipped(options.out / "skipped.csv", skipped)
    lower = {} if options.precision == "fp32" else {"precision": options.precision}
    write_text(options.out / "metrics.json", to_json({**metrics, **lower}))
    _write_items(options.out / "items.csv", list(scores.values()), name)
    drawing = draw_reconstructions(tokenizer, best_to_worst(scores), form, options.precision)
    save_image(options.out / "reconstructions.png", drawing)
    print(to_json({**metrics, **lower}))
    say_done(options.out, "look at", options.out / "reconstructions.png")
    return metrics


def measure(
    tokenizer: Tokenizer,
    batches: Iterable[tuple[list[Item], Tensor]],
    perceptual: nn.Module | None,
    distances: Sequence[FrechetDistance],
    progress: Progress,
    precision: InferencePrecision = "fp32",
) -> tuple[dict[Item, ItemScore], Tensor]:
    """Reconstruct batches of items with their clips, in a precision, and add them to `distances`.

    Returns:
        The score of each item, and the tokens (items, t, h, w) of all of them.
    """
    device = best_device()
    scores: dict[Item, ItemScore] = {}
    grids: list[Tensor] = []
    for items, originals in batches:
        clips = originals.to(device)
        grid, decoded = _reconstruct(tokenizer, clips, precision)
        scores |= zip(items, _score(items, decoded, clips, perceptual), strict=True)
        for distance in distances:
            distance.add(decoded, clips)
        grids.append(grid.cpu())
        progress.show(len(scores))
    return scores, torch.cat(grids)


def best_to_worst(scores: Mapping[Item, ItemScore], rows: int = 8) -> dict[Item, ItemScore]:
    """Return at most `rows` items, evenly spaced by rank of their PSNR, from the best to the worst of all."""
    order = sorted(scores, key=lambda item: -scores[item].psnr_db)
    count = min(rows, len(order))
    ranks = [round(index * (len(order) - 1) / max(1, count - 1)) for index in range(count)]
    return {order[index]: scores[order[index]] for index in ranks}


def draw_reconstructions(
    tokenizer: Tokenizer,
    scores: Mapping[Item, ItemScore],
    form: ClipFormat,
    precision: InferencePrecision = "fp32",
) -> Image.Image:
    """Read items again and draw their originals, reconstructions and absolute errors, a row each."""
    grid = []
    for (item,), originals in read_batches(list(scores), form, 1, []):
        clips = originals.to(best_device())
        decoded = _reconstruct(tokenizer, clips, precision)[1]
        images = [image_of(clip[0].cpu(), 4) for clip in (clips, decoded, (decoded - clips).abs() - 1)]
        captions = (Path(scores[item].source).name, f"{scores[item].psnr_db:.1f} dB", "absolute error")
        grid.append([Tile(image, text) for image, text in zip(images, captions, strict=True)])
    return draw_grid(grid, side=128)


def _reconstruct(tokenizer: Tokenizer, clips: Tensor, precision: InferencePrecision) -> tuple[Tensor, Tensor]:
    """Return the tokens (B, t, h, w) of clips (B, 3, T, H, W), and the clips of those tokens."""
    with layers_in(precision, clips.device):
        grid = tokenizer.encode(clips)
        return grid, at_least_fp32(tokenizer.decode_frames(grid, clips.shape[2]))


@torch.no_grad()
def _score(items: list[Item], decoded: Tensor, clips: Tensor, perceptual: nn.Module | None) -> list[ItemScore]:
    distance: list[float | None] = [None] * len(clips)
    if perceptual is not None:
        distance = frame_distance(perceptual, decoded, clips).tolist()
    similarity: list[float | None] = [None] * len(clips)
    if has_ssim(*clips.shape[-2:]):
        similarity = ssim(decoded, clips).tolist()
    columns = zip(items, psnr(decoded, clips).tolist(), similarity, distance, measure_kept(decoded, clips), strict=True)
    return [
        ItemScore(item.source.name, item.start, psnr_db, ssim=similar, perceptual=perceived, **kept._asdict())
        for item, psnr_db, similar, perceived, kept in columns
    ]


def _say_without_ssim(size: int) -> None:
    print(
        f"warning: ssim is left out: its windows have {SSIM_WINDOW} pixels a side, these clips {size}", file=sys.stderr
    )


def _mean_scores(scores: Sequence[ItemScore], perceptual: str) -> dict[str, float]:
    columns = {
        "psnr_db": [score.psnr_db for score in scores],
        "ssim": [score.ssim for score in scores if score.ssim is not None],
        perceptual: [score.perceptual for score in scores if score.perceptual is not None],
        "chroma_error": [score.chroma_error for score in scores],
    }
    means = {name: sum(values) / len(values) for name, values in columns.items() if values}
    return {**means, **overall_kept([_kept(score) for score in scores]), "items": len(scores)}


def _kept(score: ItemScore) -> Kept:
    return Kept(**{name: getattr(score, name) for name in Kept._fields})


def _code_metrics(tokens: Tensor, vocab_size: int, pixels: int) -> dict[str, float]:
    in_use = perplexity(tokens, vocab_size)
    per_clip = tokens[0].numel()
    return {
        "codebook_usage": codebook_usage(tokens, vocab_size),
        "perplexity": in_use,
        "rate_bits_per_pixel": rate_bits_per_pixel(vocab_size, per_clip, pixels),
        "rate_bits_per_pixel_entropy": rate_bits_per_pixel(in_use, per_clip, pixels),
    }


def _write_items(path: Path, scores: Sequence[ItemScore], perceptual: str) -> None:
    columns = [perceptual if column == "perceptual" else column for column in ItemScore.__dataclass_fields__]
    write_table(path, (dict(zip(columns, astuple(score), strict=True)) for score in scores), columns)
