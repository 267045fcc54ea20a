"""Files to look at: images and videos of every completed item, a grid of the first ones, and a page of all.

Blue outlines what was given, red what the model made up; grey is what it was not shown.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from data.drawing import printable, save_image, stack_images
from data.video_writing import write_video
from sampling.completion import Completion
from sampling.panels import completion_panels, draw_scale, heat_panels, top_of_scale
from sampling.stills import colour_signs, draw_legend, draw_still, line_signs
from sampling.videos import draw_video
from storage.files import write_text
from storage.templates import render_template

SIDE = 128
"""Height in pixels of images and frames; roughly, as images grow by whole pixels and never shrink."""
GRID_HEIGHT = 4000
"""Pixels of the grid, as many as can be looked at; items that find no room are left out."""
ENTROPY_DIGITS = 3
"""Decimals of bits on the page."""


@dataclass(frozen=True)
class GalleryItem:
    """One completed item on the page."""

    name: str
    """Shown to people; may hold any characters."""
    stem: str
    """Its files are `items/<stem>.png`, `items/<stem>_entropy.png` and for videos also .mp4 and .gif."""
    video: bool
    """Whether it is a clip."""
    distance_to_truth: float | None
    """Root mean square pixel difference on [0, 1] of what was imagined, mean over the continuations; None without
    a truth."""
    best_distance: float | None
    """The same of the nearest continuation."""
    entropy_bits: float
    """Of the model's distributions, sum over the imagined tokens, mean over the continuations."""
    source: str
    """File it comes from; empty where nothing was given."""


def show_item(completion: Completion, name: str, fps: float, folder: Path, stem: str) -> None:
    """Write what there is to see of one item into `folder`, which is made.

    `<stem>.png`: original, prompt, reconstruction and continuations; for clips as film strips, and then also as
    `<stem>.mp4` and `<stem>.gif`, side by side. `<stem>_entropy.png`: the entropy of every sampled token over the
    continuations, in bits.

    Args:
        completion: of the item.
        name: title of the images.
        fps: frames per second of the clip.
        folder: for the files.
        stem: of their names.
    """
    video = completion.continuations.shape[2] > 1
    panels = completion_panels(completion)
    heat = heat_panels(completion)
    still = draw_still(completion, panels, name, fps, SIDE)
    legend = draw_legend(colour_signs(panels) + line_signs(completion), still.width)
    save_image(folder / f"{stem}.png", stack_images([still, legend]))
    still = draw_still(completion, heat, f"{name}: entropy", fps, SIDE)
    legend = draw_legend(colour_signs(heat) + line_signs(completion), still.width)
    scale = draw_scale(top_of_scale(completion))
    save_image(folder / f"{stem}_entropy.png", stack_images([still, scale, legend]))
    if video:
        moving = draw_video(completion, panels, name, fps, SIDE)
        for suffix in (".mp4", ".gif"):
            write_video(folder / f"{stem}{suffix}", moving, fps)


def show_grid(completions: Sequence[Completion], names: Sequence[str], out: Path) -> None:
    """Write `grid.png` into `out`: the first items below one another, as many as `GRID_HEIGHT` holds."""
    stills: list[Image.Image] = []
    for completion, name in zip(completions, names, strict=True):
        side = 64 if completion.continuations.shape[2] > 1 else 128
        still = draw_still(completion, completion_panels(completion), name, None, side)
        if stills and sum(image.height for image in stills) + still.height > GRID_HEIGHT:
            break
        stills.append(still)
    signs = colour_signs(completion_panels(completions[0])) + line_signs(completions[0])
    legend = draw_legend(signs, max(still.width for still in stills))
    save_image(out / "grid.png", stack_images([*stills, legend]))


def write_gallery(out: Path, entries: Sequence[GalleryItem], title: str) -> None:
    """Write `index.html` into `out`: all items, to be searched, sorted and played, from the files in `out/items`.

    The page loads nothing but those files and runs no script but its own, as its policy says to the browser; without
    JavaScript it is a list.

    Raises:
        FileNotFoundError: files of an item are missing.
    """
    page = render_template(
        Path(__file__),
        "gallery.html.j2",
        html=True,
        title=printable(title),
        script_digest=_script_digest(),
        cards=[_card(out, entry) for entry in entries],
        videos=any(entry.video for entry in entries),
        truths=any(entry.distance_to_truth is not None for entry in entries),
    )
    write_text(out / "index.html", page)


def _script_digest() -> str:
    """Return the SHA-256 of the page's script in base64: its policy lets that one run and no other."""
    template = Path(__file__).with_name("gallery.html.j2").read_text(encoding="utf-8")
    (script,) = re.findall("<script>(.*?)</script>", template, flags=re.DOTALL)
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _card(out: Path, entry: GalleryItem) -> dict[str, Any]:
    """What the page says of an item; sizes keep the page from jumping while images arrive."""
    link = f"items/{entry.stem}"
    truth = entry.distance_to_truth is not None
    return {
        "name": printable(entry.name),
        "source": printable(entry.source),
        "link": quote(link),
        "shows": "original, prompt, reconstruction and continuations" if truth else "what the model imagined",
        "distance": entry.distance_to_truth if truth else "",
        "best": entry.best_distance if truth else "",
        # Rounded: rows that are sampled side by side decide the last digits, and a resumed run has the same page.
        "entropy": round(entry.entropy_bits, ENTROPY_DIGITS),
        "still": _size(out / f"{link}.png"),
        "heat": _size(out / f"{link}_entropy.png"),
        "video": _size(out / f"{link}.gif") if entry.video else None,
    }


def _size(path: Path) -> dict[str, int]:
    with Image.open(path) as image:
        return {"width": image.width, "height": image.height}
