"""What is given of a clip. The given part is encoded alone, so that a prompt cannot know what follows it."""

from __future__ import annotations

from torch import Tensor

from gpt.model import GPT
from sampling.config import PromptKind
from vqgan.tokenizer import Tokenizer


class MismatchError(ValueError):
    """A GPT and a tokenizer, or a clip, do not belong together."""


def given_part(clips: Tensor, kind: PromptKind) -> Tensor:
    """Return the part of clips (B, 3, T, H, W) that is given: the upper half, or the first half.

    Raises:
        ValueError: half of a clip was asked for and there is only one frame, or half of an image and there are more.
    """
    if kind == "none":
        return clips[:, :, :0]
    if kind == "half-image":
        if clips.shape[2] > 1:
            raise ValueError("the upper half of a clip is not a prompt: use --prompt half-clip")
        return clips[:, :, :, : clips.shape[3] // 2]
    if clips.shape[2] < 2:
        raise ValueError("half a clip cannot be given of a still image: use --prompt half-image")
    return clips[:, :, : clips.shape[2] // 2]


def encode_prompt(tokenizer: Tokenizer, clips: Tensor, kind: PromptKind) -> Tensor:
    """Return the prompt tokens (B, p) int64 of clips (B, 3, T, H, W) in [-1, 1]."""
    given = given_part(clips, kind)
    if given.numel() == 0:
        return clips.new_zeros(len(clips), 0).long()
    return tokenizer.encode(given).flatten(1)


def check_match(gpt: GPT, tokenizer: Tokenizer, grid: tuple[int, int, int]) -> None:
    """Refuse a GPT that cannot continue token grids of this tokenizer.

    Raises:
        MismatchError: vocabulary, weights of the tokenizer, or grid differ from what the GPT learned.
    """
    config = gpt.config
    if config.vocab_size != tokenizer.vocab_size:
        raise MismatchError(
            f"the GPT knows {config.vocab_size} tokens, the tokenizer makes {tokenizer.vocab_size}: "
            "give the tokenizer whose tokens the GPT was trained on"
        )
    if config.tokenizer and config.tokenizer != tokenizer.fingerprint:
        raise MismatchError(
            f"the GPT learned the tokens of tokenizer {config.tokenizer}, this one is {tokenizer.fingerprint}: "
            "give the tokenizer whose tokens the GPT was trained on"
        )
    if grid[1:] != config.grid[1:] or grid[0] > config.grid[0]:
        raise MismatchError(f"grids of {grid} do not fit a GPT that learned grids of {config.grid}")
