"""What the app draws: what is given of an example, tokens as they are drawn, and answers.

Axes: T frames, H rows, W columns of pixels; t, h, w of the token grid, L tokens.
"""

from __future__ import annotations

import base64
import io
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.frames import to_uint8
from data.images import clip_to_image
from data.video_writing import write_video
from sampling.completion import Completion
from sampling.gallery import SIDE
from sampling.panels import (
    COLOURS,
    HIDDEN,
    completion_panels,
    draw_scale,
    heat_panels,
    top_of_scale,
)
from sampling.sampled import FREE, Sampled
from sampling.stills import draw_still
from sampling.videos import draw_video
from viewing.app.asking import Look
from vqgan.tokenizer import Tokenizer

MOST_DECODED = 256
"""Codes that are decoded at a time."""


class CodePatches:
    """What each code looks like when it is decoded alone: pixels for tokens whose picture is not finished.

    Codes are decoded when they first occur.

    Args:
        tokenizer: of the codes.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.side = tokenizer.size // tokenizer.grid(1, tokenizer.size, tokenizer.size)[1]
        self.known = torch.zeros(tokenizer.vocab_size, dtype=torch.bool)
        self.pixels = torch.zeros(tokenizer.vocab_size, self.side, self.side, 3, dtype=torch.uint8)

    def __getitem__(self, tokens: Tensor) -> NDArray[np.uint8]:
        """Return the patches (..., p, p, 3) of tokens (...) int64."""
        met = torch.zeros_like(self.known)
        met[tokens.flatten()] = True
        new = (met & ~self.known).nonzero()[:, 0]
        for start in range(0, len(new), MOST_DECODED):
            self._decode(new[start : start + MOST_DECODED])
        return self.pixels[tokens].numpy()

    @torch.no_grad()
    def _decode(self, codes: Tensor) -> None:
        alone = codes.to(self.tokenizer.device)[:, None, None, None]
        decoded = to_uint8(self.tokenizer.decode_frames(alone, 1)[:, :, 0].cpu())
        self.pixels[codes] = decoded.permute(0, 2, 3, 1)
        self.known[codes] = True


def draw_look(look: Look, patches: CodePatches) -> list[Image.Image]:
    """Draw the continuations of which not all tokens are drawn: a frame for each latent frame, side by side.

    What was given is shown as it was, what is not drawn yet in grey, and a token as it looks alone.
    """
    t, h, w = look.layout.grid
    drawn = look.tokens != FREE
    found = patches[look.tokens.clamp(min=0)]  # (n, t, h, w, p, p, 3)
    found = np.where(drawn.numpy()[..., None, None, None], found, COLOURS[HIDDEN])
    side = patches.side
    pixels = found.transpose(0, 1, 2, 4, 3, 5, 6).reshape(len(look.tokens), t, h * side, w * side, 3)
    if look.clip is not None:
        pixels = _with_given(pixels, look)
    return [Image.fromarray(np.concatenate(list(frames), axis=1)) for frames in pixels]


def shown_frames(tokenizer: Tokenizer, latent_frames: int) -> list[int]:
    """Return the frame that stands for each latent frame where there is room for one: the last of those it codes."""
    return [tokenizer.frames_of(index + 1) - 1 for index in range(latent_frames)]


def draw_example(tokenizer: Tokenizer, clip: Tensor, along_time: bool) -> Image.Image:
    """Draw what can be given of a clip (3, T, H, W) in [-1, 1]: a frame for each latent frame, or the first alone."""
    frames = [0]
    if along_time:
        frames = shown_frames(tokenizer, tokenizer.grid(*clip.shape[1:])[0])
    pixels = to_uint8(clip[:, frames]).permute(2, 1, 3, 0).flatten(1, 2)
    return Image.fromarray(pixels.numpy())


def draw_answer(completion: Completion, title: str) -> Image.Image:
    """Draw original, prompt, reconstruction and continuations, as `complete` does."""
    return draw_still(completion, completion_panels(completion), title, None, SIDE)


def draw_maps(completion: Completion, surprise: bool) -> tuple[Image.Image, Image.Image]:
    """Draw the heat of every sampled token over the continuations, and the scale that tells what it is in bits.

    Args:
        completion: whose.
        surprise: whether it is that of the tokens that were drawn; otherwise the entropy of what could have been.
    """
    words = "bits per token, of the model's distribution"
    if surprise:
        completion = replace(completion, sampled=as_surprise(completion.sampled))
        words = "bits per token, of the tokens that were drawn"
    still = draw_still(completion, heat_panels(completion), "surprise" if surprise else "entropy", None, SIDE)
    return still, draw_scale(top_of_scale(completion), words)


def as_surprise(sampled: Sampled) -> Sampled:
    """Return what was sampled with the surprise of each token, in nats, where its entropy stood."""
    return Sampled(sampled.tokens, sampled.log_probability, -sampled.log_probability)


def bits_per_token(values: Tensor) -> float:
    """Return the mean in bits of values in nats, those that are NaN left out."""
    return float(values.double().nanmean()) / math.log(2)


def film(completion: Completion, title: str, fps: float) -> tuple[str, str]:
    """Return an MP4 of original, prompt, reconstruction and continuations side by side, and its first frame.

    Both are data URIs.
    """
    moving = draw_video(completion, completion_panels(completion), title, fps, SIDE)
    with tempfile.TemporaryDirectory(prefix="secondsight-") as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, moving, fps)
        return data_uri("video/mp4", path.read_bytes()), png(clip_to_image(moving[:, :1]))


def png(image: Image.Image) -> str:
    """Return an image as a data URI, without loss."""
    return _embed(image, "PNG", compress_level=1)


def jpeg(image: Image.Image) -> str:
    """Return an image as a data URI, small; its colours are kept as finely as its light."""
    return _embed(image, "JPEG", quality=90, subsampling=0)


def data_uri(kind: str, content: bytes) -> str:
    """Return a file of a media type as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _embed(image: Image.Image, kind: str, **settings: int) -> str:
    file = io.BytesIO()
    image.save(file, format=kind, **settings)
    return data_uri(f"image/{kind.lower()}", file.getvalue())


def _with_given(pixels: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    """Return pixels (n, t, H, W, 3) with those of the clip where they were given."""
    assert look.clip is not None
    frames = shown_frames(look.pair.tokenizer, look.layout.grid[0])
    there = np.minimum(frames, look.clip.shape[1] - 1)
    original = to_uint8(look.clip).permute(1, 2, 3, 0).numpy()[there]
    given = look.layout.given_pixels.numpy()[np.minimum(frames, look.layout.size[0] - 1)]
    return np.where(given[..., None], original, pixels)
