"""Synthetic clips and stills: every one is a pure function of a seed, its number and the photographs, if any."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.progress import track
from torch import Tensor

from data.images import clip_to_image
from data.options import SyntheticOptions
from data.skipping import describe_skipped
from data.sources import Source
from data.synthetic.camera import draw_camera
from data.synthetic.chance import stream
from data.synthetic.film import draw_look, shoot
from data.synthetic.photographs import find_photographs, photograph
from data.synthetic.scenes import KINDS, draw_scene
from data.video_writing import write_video
from storage.files import atomic_write, write_text
from storage.lock import FolderLock
from storage.records import grow_record
from training.parallel import one_thread
from training.progress import say_done, say_found


def render_clip(
    seed: int,
    index: int,
    size: int = 64,
    frames: int = 16,
    fps: float = 8.0,
    photographs: Sequence[Source] = (),
) -> Tensor:
    """Render a short film of a scene that was made up, or of a photograph.

    Args:
        seed: of all of them.
        index: number of the film; neighbours show other kinds of scenes.
        size: height and width in pixels.
        frames: number of frames T; a shorter clip is the beginning of a longer one.
        fps: frames per second of the film's time.
        photographs: if any, every second film is of one of them (see `data.synthetic.photographs.find_photographs`).

    Returns:
        (3, T, size, size) float32 in [-1, 1].

    Raises:
        ValueError: `size` or `frames` below 1, or `fps` not positive.
        MediaError: photographs cannot be read.
    """
    if size < 1 or frames < 1 or not fps > 0:
        raise ValueError(f"size and frames must be 1 or more and fps > 0, got {size=}, {frames=}, {fps=}")
    return _render("clip", seed, index, size, frames, fps, photographs)


def kind_of(index: int) -> str:
    """Return which of the `KINDS` of scenes a film of a number shows, if no photographs are given."""
    return tuple(KINDS)[index % len(KINDS)]


def render_still(seed: int, index: int, size: int = 64, photographs: Sequence[Source] = ()) -> Tensor:
    """Render a still image, (3, 1, size, size) float32 in [-1, 1]; no clip of the same number shows the same scene.

    Raises:
        ValueError: `size` below 1.
        MediaError: photographs cannot be read.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    return _render("still", seed, index, size, 1, 8.0, photographs)


def _render(
    use: Literal["clip", "still"],
    seed: int,
    index: int,
    size: int,
    frames: int,
    fps: float,
    photographs: Sequence[Source],
) -> Tensor:
    streams = {name: stream(f"{use} {name}", seed, index) for name in ("scene", "camera", "look", "grain")}
    number, is_photograph = divmod(index, 2) if photographs else (index, 0)
    if is_photograph:
        scene = [photograph(streams["scene"], photographs, size)]
    else:
        scene = draw_scene(streams["scene"], kind_of(number), size)
    camera = draw_camera(streams["camera"])
    look = draw_look(streams["look"])
    return shoot(scene, camera, look, streams["grain"], size, frames, fps)


def make_synthetic(options: SyntheticOptions) -> None:
    """Render the clips and the stills that are asked for, and write `synthetic.json` beside them.

    An interrupted run continues where it stopped, and a folder can grow by asking for more.

    Raises:
        FolderLockError: another process is writing into the folder.
        MediaError: there are no photographs where they should be, or too many cannot be read.
        ValueError: the folder holds what was made with other options, or its record is damaged.
    """
    with FolderLock(options.out):
        found, skipped = find_photographs(options.photographs) if options.photographs else ((), [])
        path = options.out / "synthetic.json"
        record = grow_record(path, _asked(options, found), ("clips", "stills"), "clips")
        write_text(path, json.dumps(record, indent=2) + "\n")
        say_found(
            clips=f"{options.clips:,} of {options.frames} frames at {options.fps:g} a second, {options.size} px",
            stills=f"{options.stills:,} of {options.size} px",
            photographs=f"{len(found):,}" if found else "none",
            seed=options.seed,
        )
        if skipped:
            say_found(not_used=describe_skipped(skipped).removesuffix(" (see skipped.csv)"))
        _write_clips(options, found)
        _write_stills(options, found)
    made = options.out / ("clips" if options.clips else "stills")
    say_done(options.out, "secondsight vqgan train --preset demo --data", made, "--out TOKENIZER")


@one_thread()
def _write_clips(options: SyntheticOptions, photographs: Sequence[Source]) -> None:
    """Write the clips that are missing."""
    for index, path in track(_missing(options.out / "clips", "clip_{:06d}.mp4", options.clips), "rendering clips"):
        clip = render_clip(options.seed, index, options.size, options.frames, options.fps, photographs)
        write_video(path, clip, options.fps, full_colour=True)


@one_thread()
def _write_stills(options: SyntheticOptions, photographs: Sequence[Source]) -> None:
    """Write the stills that are missing."""
    for index, path in track(_missing(options.out / "stills", "still_{:06d}.png", options.stills), "rendering stills"):
        image = clip_to_image(render_still(options.seed, index, options.size, photographs))
        atomic_write(path, partial(image.save, format="png"))


def _missing(folder: Path, name: str, count: int) -> list[tuple[int, Path]]:
    """Return numbers below a count and paths of the files that a folder, which is made, does not hold yet."""
    if count:
        folder.mkdir(parents=True, exist_ok=True)
    paths = ((index, folder / name.format(index)) for index in range(count))
    return [(index, path) for index, path in paths if not path.exists()]


def _asked(options: SyntheticOptions, photographs: Sequence[Source]) -> dict[str, Any]:
    """Return what `synthetic.json` says of what is asked for."""
    record = {name: value for name, value in asdict(options).items() if name != "out"}
    record["photographs"] = _digest(photographs) if photographs else None
    return record


def _digest(photographs: Sequence[Source]) -> str:
    """Return a digest of the pixels of photographs, in their order."""
    return hashlib.sha256(":".join(source.sha256 for source in photographs).encode()).hexdigest()
