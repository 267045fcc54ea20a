"""Files to look at: images and videos of every completed item, a grid of the first ones, and a page of all.

Blue outlines what was given, red what the model made up; grey is what it was not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from data.drawing import printable, save_image, stack_images
from data.images import clip_to_image
from data.video_writing import write_video
from sampling.completion import Completion
from sampling.pages import Fact, inline_scripts, page_policy, render_page
from sampling.panels import completion_panels, draw_scale, heat_panels, top_of_scale
from sampling.stills import colour_signs, draw_legend, draw_still, line_signs
from sampling.videos import draw_video
from storage.files import write_text

SIDE = 128
"""Height in pixels of images and frames; roughly, as images grow by whole pixels and never shrink."""
GRID_HEIGHT = 4000
"""Pixels of the grid, as many as can be looked at; items that find no room are left out."""
ENTROPY_DIGITS = 3
"""Decimals of bits on the page."""


TEMPLATE = "gallery.html.j2"
POSTER = "_poster.png"
"""End of the name of the image that stands for a video until it is played."""


@dataclass(frozen=True)
class GalleryItem:
    """One completed item on the page."""

    name: str
    """Shown to people; may hold any characters."""
    stem: str
    """Its files are `items/<stem>.png`, `items/<stem>_entropy.png` and for videos also .mp4, .gif and _poster.png."""
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
    `<stem>.mp4` and `<stem>.gif`, side by side, with their last frame as `<stem>_poster.png`. `<stem>_entropy.png`: the
    entropy of every sampled token over the continuations, in bits.

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
        save_image(folder / f"{stem}{POSTER}", clip_to_image(moving[:, -1]))


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


def write_gallery(out: Path, entries: Sequence[GalleryItem], title: str, facts: Sequence[Fact] = ()) -> None:
    """Write `index.html` into `out`: all items, to be searched, sorted and played, from the files in `out/items`.

    The page loads nothing but those files and runs no script but its own, as its policy says to the browser; without
    JavaScript it is a list.

    Args:
        out: folder of the page.
        entries: what is on it.
        title: of the page.
        facts: who made it, see `sampling.pages.facts_of`.

    Raises:
        FileNotFoundError: files of an item are missing.
    """
    page = render_page(
        Path(__file__),
        TEMPLATE,
        title=printable(title),
        policy=page_policy(*inline_scripts(Path(__file__), TEMPLATE), media="beside"),
        facts=facts,
        cards=[_card(out, entry) for entry in entries],
        videos=any(entry.video for entry in entries),
        truths=any(entry.distance_to_truth is not None for entry in entries),
    )
    write_text(out / "index.html", page)


def _card(out: Path, entry: GalleryItem) -> dict[str, Any]:
    """What the page says of an item; sizes keep the page from jumping while images arrive."""
    link = f"items/{entry.stem}"
    truth = entry.distance_to_truth is not None
    return {
        "name": printable(entry.name),
        "source": printable(entry.source),
        "link": quote(link),
        "distance": entry.distance_to_truth if truth else "",
        "best": entry.best_distance if truth else "",
        # Rounded: rows that are sampled side by side decide the last digits, and a resumed run has the same page.
        "entropy": round(entry.entropy_bits, ENTROPY_DIGITS),
        "still": _size(out / f"{link}.png"),
        "heat": _size(out / f"{link}_entropy.png"),
        "video": _size(out / f"{link}.gif") if entry.video else None,
        # Of completions of an older version, which a run went on with, there is none.
        "poster": quote(f"{link}{POSTER}") if (out / f"{link}{POSTER}").exists() else "",
        **_words(entry),
    }


def _words(entry: GalleryItem) -> dict[str, str]:
    """Return what stands for the images and the video of an item where they cannot be seen."""
    name = printable(entry.name)
    shown = "what the model imagined"
    found = ""
    if entry.distance_to_truth is not None:
        shown = "original, prompt, reconstruction and continuations"
        found = f"; what was imagined is {entry.distance_to_truth:.3f} from the truth on average"
    return {
        "still_words": f"{name}: {shown}{', film strips' if entry.video else ''}{found}",
        "video_words": f"{name}: {shown}, side by side in a video{found}",
        "heat_words": f"{name}: entropy of every imagined token over the continuations, {entry.entropy_bits:,.0f} bits",
    }


def _size(path: Path) -> dict[str, int]:
    with Image.open(path) as image:
        return {"width": image.width, "height": image.height}
