"""Where prompts lie in the result, how long it is, and what does not fit."""

from dataclasses import replace

import pytest
import torch
from tiny import GPT_SHORT, IMAGE, SHORT, VIDEO, make_gpt, make_tokenizer

from sampling.decode import FREE
from sampling.layout import count_frames, lay_out
from sampling.options import Prompt, Request, SamplingOptions

CLIP, STILL = (8, 16, 16), (1, 16, 16)


def test_what_is_given_lies_at_the_front_top_and_left() -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), CLIP, Request(Prompt("left", 0.5)))
    placed = layout.place(torch.full((3, 2, 4, 2), 7)).unflatten(1, (2, 4, 4))
    assert bool((placed[..., :2] == 7).all())
    assert bool((placed[..., 2:] == FREE).all())
    assert torch.equal(layout.given, placed[0] == 7)


def test_of_the_first_frame_only_its_pixels_are_given() -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), CLIP, Request(Prompt("first-frame")))
    assert layout.given.sum(dim=(1, 2)).tolist() == [16, 0]
    assert layout.given_pixels.sum(dim=(1, 2)).tolist() == [256, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("prompt", "size", "frames", "length"),
    [(Prompt("half-clip"), CLIP, None, 8), (Prompt("half-clip"), CLIP, 20, 20), (Prompt("half-image"), STILL, None, 1),
     (Prompt("left", 0.5), STILL, None, 1), (Prompt("left", 0.5), CLIP, 12, 12),
     (Prompt("first-frame"), STILL, None, 8), (Prompt("first-frame"), CLIP, 12, 12),
     (Prompt("none"), None, None, 8), (Prompt("none"), None, 12, 12)],
)  # fmt: skip
def test_length_of_the_result(
    prompt: Prompt, size: tuple[int, int, int] | None, frames: int | None, length: int
) -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), size, Request(prompt, frames=frames))
    assert (layout.size, layout.grid) == ((length, 16, 16), (max(1, length // 4), 4, 4))


def test_seams_are_the_frames_at_which_windows_begin_to_sample() -> None:
    gpt, request = make_gpt(replace(GPT_SHORT, grid=(4, 4, 4))), Request(Prompt("half-clip"), frames=32, overlap=3)
    assert lay_out(gpt, make_tokenizer(VIDEO), (16, 16, 16), request).seams == (16, 20, 24, 28)
    assert lay_out(gpt, make_tokenizer(VIDEO), (16, 16, 16), replace(request, overlap=None)).seams == (16, 24)


@pytest.mark.parametrize(
    ("prompt", "size", "change", "message"),
    [(Prompt("frames", 2), CLIP, {}, r"the prompt is the whole result of \(2, 4, 4\) tokens"),
     (Prompt("half-clip"), (4, 16, 16), {}, "nothing is left to imagine: give less"),
     (Prompt("frames", 2), CLIP, {"frames": 4}, r"a prompt of \(2, 4, 4\) tokens does not fit into a result of \(1, 4"),
     (Prompt("frames", 3), (12, 16, 16), {"frames": 16}, "48 tokens is longer than the window of 32: give less"),
     (Prompt("half-clip"), CLIP, {"frames": 16, "overlap": 2}, "--overlap 2 must lie in 1 to 1"),
     (Prompt("half-clip"), CLIP, {"sampling": SamplingOptions(top_k=33)}, "--top-k 33 is above the 32 tokens of the")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    prompt: Prompt, size: tuple[int, int, int], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lay_out(make_gpt(), make_tokenizer(SHORT), size, Request(prompt, **change))


def test_a_half_image_of_one_row_of_tokens_leaves_nothing() -> None:
    gpt = make_gpt(replace(GPT_SHORT, grid=(1, 1, 4)))
    with pytest.raises(ValueError, match="nothing is left to imagine"):
        lay_out(gpt, make_tokenizer(IMAGE), (1, 4, 16), Request(Prompt("half-image")))


@pytest.mark.parametrize(
    ("fps", "seconds", "frames"), [(8.0, 1.0, 8), (8.0, 10.0, 80), (29.97, 0.534, 16), (30.0, 0.133, 4)]
)
def test_seconds_are_whole_latent_frames(fps: float, seconds: float, frames: int) -> None:
    assert count_frames(make_tokenizer(replace(SHORT, fps=fps)), seconds) == frames


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(1.2, "--seconds 1.2 is no whole number of latent frames of 0.5 s: 1 or 1.5 would be"),
     (0.1, "0.5 is the shortest")],
)  # fmt: skip
def test_other_lengths_are_refused_with_the_nearest(seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_frames(make_tokenizer(SHORT), seconds)
