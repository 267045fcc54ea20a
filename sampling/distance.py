"""How far clips are apart in what was imagined of them."""

from __future__ import annotations

from torch import Tensor

from sampling.completion import Completion


def pixel_distance(a: Tensor, b: Tensor) -> float:
    """Return the root mean square difference of pixels in [-1, 1], on the scale [0, 1]: 1 is black against white."""
    return float(((a - b) / 2).square().mean().sqrt())


def imagined_pixels(clip: Tensor, given: Tensor) -> Tensor:
    """Return the pixels of a clip (3, T, H, W) that were not given, as far as clip and `given` (T', H, W) go together.

    Returns:
        (3, P).
    """
    common = min(clip.shape[1], len(given))
    return clip[:, :common][:, ~given[:common]]


def distances_to_truth(completion: Completion) -> list[float]:
    """Return the pixel distance of each continuation to the tokenizer's reconstruction of what really followed.

    Only what was imagined counts, and only as far as the original goes; the list is empty where that is nothing.
    """
    if completion.reconstruction is None:
        return []
    given = completion.given_pixels[: completion.reconstruction.shape[1]]
    if given.all():
        return []
    truth = imagined_pixels(completion.reconstruction, given)
    return [pixel_distance(imagined_pixels(clip, given), truth) for clip in completion.continuations]
