"""Reconstruct a data set and measure how well: `metrics.json`, `items.csv` and `reconstructions.png`."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from data.clips import Item
from data.media import write_skipped
from data.pictures import Tile, draw_grid, picture_of, save_picture
from training.progress import Progress
from training.run_folder import to_json, write_text
from vqgan.config import EvaluateOptions
from vqgan.metrics import codebook_usage, perplexity, psnr, ssim
from vqgan.model import load_tokenizer
from vqgan.perceptual import build_perceptual, frame_distance
from vqgan.reading import clip_format, find_items, read_batches, split_items
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class ItemScore:
    """How well one item was reconstructed."""

    source: str
    start: float
    psnr_db: float
    ssim: float
    perceptual: float | None


def evaluate(options: EvaluateOptions) -> dict[str, float]:
    """Reconstruct every clip of a data set; write the files named above and return the metrics.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
    """
    tokenizer = load_tokenizer(options.tokenizer)
    perceptual = build_perceptual(options.perceptual)
    form = clip_format(tokenizer)
    items, skipped = find_items(options.data, form)
    if options.part == "validation":
        items = split_items(items)[1]
    scores: list[ItemScore] = []
    grids: list[Tensor] = []
    pairs: list[tuple[Tensor, Tensor]] = []
    with Progress("Evaluating", len(items)) as progress:
        for batch, clips in read_batches(items, form, options.batch, skipped):
            grid = tokenizer.encode(clips)
            decoded = reconstruct(tokenizer, grid, clips.shape[2])
            scores += _measure(batch, decoded, clips, perceptual)
            grids.append(grid)
            pairs += list(zip(clips, decoded, strict=True)) if len(pairs) < 200 else []
            progress.show(len(scores))
    write_skipped(options.out / "skipped.csv", skipped)
    metrics = _summarise(scores, torch.cat(grids), tokenizer.vocab_size)
    write_text(options.out / "metrics.json", to_json(metrics))
    _write_items(options.out / "items.csv", scores)
    save_picture(options.out / "reconstructions.png", draw_reconstructions(scores, pairs))
    print(to_json(metrics))
    return metrics


def reconstruct(tokenizer: Tokenizer, grid: Tensor, frames: int) -> Tensor:
    """Decode tokens (B, t, h, w) to clips of `frames` frames; a still is the last frame of its latent frame."""
    return tokenizer.decode(grid)[:, :, -frames:]


def draw_reconstructions(scores: list[ItemScore], pairs: list[tuple[Tensor, Tensor]], rows: int = 8) -> Image.Image:
    """Draw originals, reconstructions and absolute errors of items from the best to the worst."""
    order = sorted(range(len(pairs)), key=lambda number: -scores[number].psnr_db)
    chosen = [order[place * len(order) // rows] for place in range(rows)] if len(order) > rows else order
    grid = []
    for number in chosen:
        original, decoded = pairs[number]
        error = (decoded - original).abs() - 1
        caption = f"{scores[number].source}: {scores[number].psnr_db:.1f} dB"
        pictures = [picture_of(clip, 4) for clip in (original, decoded, error)]
        captions = (f"original {caption}"[:60], "reconstruction", "absolute error")
        grid.append([Tile(picture, text) for picture, text in zip(pictures, captions, strict=True)])
    return draw_grid(grid)


@torch.no_grad()
def _measure(items: list[Item], decoded: Tensor, clips: Tensor, perceptual: nn.Module | None) -> list[ItemScore]:
    distance: list[float | None] = [None] * len(clips)
    if perceptual is not None:
        distance = frame_distance(perceptual, decoded, clips).tolist()
    columns = zip(items, psnr(decoded, clips).tolist(), ssim(decoded, clips).tolist(), distance, strict=True)
    return [ItemScore(item.source.name, item.start, *values) for item, *values in columns]


def _summarise(scores: list[ItemScore], tokens: Tensor, vocab_size: int) -> dict[str, float]:
    metrics: dict[str, float] = {
        "psnr_db": sum(score.psnr_db for score in scores) / len(scores),
        "ssim": sum(score.ssim for score in scores) / len(scores),
        "codebook_usage": codebook_usage(tokens, vocab_size),
        "perplexity": perplexity(tokens, vocab_size),
        "items": len(scores),
    }
    distances = [score.perceptual for score in scores if score.perceptual is not None]
    if distances:
        metrics["perceptual"] = sum(distances) / len(distances)
    return metrics


def _write_items(path: Path, scores: list[ItemScore]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ItemScore.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)
