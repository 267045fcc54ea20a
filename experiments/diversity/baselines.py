"""Continuations that no GPT made, measured like those that one did.

All are shown by the tokenizer, as those of a GPT are: sharper images would be another comparison.
"""

from __future__ import annotations

from einops import repeat

from experiments.diversity.matches import TrainingTokens
from experiments.diversity.spaces import Generated
from experiments.diversity.stage import Stage
from sampling.options import PromptEncoding
from vqgan.tokenizer import Tokenizer


class Baselines:
    """The baselines of every item for one amount given.

    Args:
        stage: the amount given.
        tokenizer: decodes training items.
        training: of the GPT.
        n: continuations, where a baseline has several.
    """

    def __init__(self, stage: Stage, tokenizer: Tokenizer, training: TrainingTokens, n: int) -> None:
        self.stage = stage
        self.tokenizer = tokenizer
        self.training = training
        self.n = n

    def of(self, number: int, encoding: PromptEncoding) -> dict[str, Generated]:
        """Return the baselines of an item by name; see `experiments.diversity.tables.BASELINES`."""
        continuations = {
            "copy": self._copy(number, encoding),
            "other": self._other(number),
            "nearest": self._nearest(number, encoding),
            "reconstruction": self._reconstruction(number),
        }
        return {name: made for name, made in continuations.items() if len(made.pixels)}

    def _copy(self, number: int, encoding: PromptEncoding) -> Generated:
        """The last given frame or row of pixels, and the last latent frame or row of tokens, again and again."""
        material, prompt = self.stage.material, self.stage.prompts[encoding][number]
        frames, rows, _ = self.stage.layout.part.pixels
        clip, truth = material.reconstructions[number], self.stage.truth(number)
        if material.kind == "clip":
            pixels = repeat(clip[:, frames - 1], "C H W -> 1 C T H W", T=truth.pixels.shape[2])
            last = prompt[-1].flatten()
        else:
            pixels = repeat(clip[:, :, rows - 1], "C T W -> 1 C T H W", H=truth.pixels.shape[3])
            last = prompt[:, -1].flatten()
        return Generated(pixels, last.repeat(truth.tokens.shape[1] // len(last))[None])

    def _other(self, number: int) -> Generated:
        """The truths of the items of the same group that come after it, around to the first."""
        members = self.stage.material.members(self.stage.material.groups[number])
        place, count = members.index(number), min(self.n, len(members) - 1)
        others = [members[(place + step) % len(members)] for step in range(1, count + 1)]
        return Generated(*(part[others] for part in self.stage.renderings))

    def _nearest(self, number: int, encoding: PromptEncoding) -> Generated:
        """What follows in the training item whose tokens agree most with the prompt."""
        prompt = self.stage.prompts[encoding][number].flatten()
        found = self.training.nearest(prompt[None], self.stage.given_places)[0]
        grid = self.training.tokens(found.index).unflatten(0, self.stage.layout.grid)
        return self.stage.decode(self.tokenizer, grid[None])

    def _reconstruction(self, number: int) -> Generated:
        return Generated(*(part[number : number + 1] for part in self.stage.renderings))
