"""Our own GPT as an observer: its weights, how study has changed them, and what a store beside them knows.

With the same options it says what `secondsight memory run` writes, to the last bit.
"""

from __future__ import annotations

import copy
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from experiments.memory.episodic import EpisodicStore
from experiments.memory.learner import Learner, begin_learner, fingerprint_of_origin
from experiments.memory.material import IMAGES_AT_ONCE, Material
from experiments.memory.observers.optimizer_state import load_tensors_of, tensors_of
from experiments.memory.options import MemoryOptions
from experiments.memory.recognition import score
from gpt.config import PRESETS
from storage.model_paths import brought_tokenizer
from storage.options import find_preset
from training.processes import best_device
from vqgan.model import load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer

NOWHERE = Path("no-run-folder")
"""In place of the folders of a run, which an observer has none of."""


class OwnGPT:
    """A GPT over the tokens of images, which takes optimizer steps on what it studies; scored by its NLL per token.

    Args:
        gpt: pretrained GPT to begin from, a folder or a name on the hub; a new one of `preset` if not given.
        preset: of a new GPT.
        tokenizer: a folder, or a name on the hub; without one that of `gpt`, or a palette made from all images.
        colours: of the palette that is made.
        size: pixels a side at which the palette sees the images.
        palette_seed: of the palette that is made; `memory run` takes the seed of its first run.
        learning_rate: constant; 0 leaves the weights as they are.
        optimizer: `adam` or `sgd`.
        optimizer_state: `fresh`, or `resume` to begin with the moments that the training of `gpt` ended with.
        grad_clip: largest norm of the gradient; 0 does not clip it.
        steps_per_exposure: optimizer steps in a row on what it is given to study.
        trained_blocks: train only the last so many blocks; all weights if not given.
        precision: `fp32`, `bf16`, `bf16!` or `auto`, see `secondsight memory run --help`.
        seed: of new weights.

    Raises:
        CheckpointError: there is no such GPT, or tokenizer.
        ValueError: arguments exclude each other.
    """

    readout = ""
    """What is said of it in its name, where it is not judged by its NLL; its scores are then no nats per token."""

    def __init__(
        self,
        gpt: Path | None = None,
        preset: str = "tiny",
        tokenizer: Path | None = None,
        colours: int = 64,
        size: int = 8,
        palette_seed: int = 0,
        learning_rate: float = 3e-4,
        optimizer: str = "adam",
        optimizer_state: str = "fresh",
        grad_clip: float = 1.0,
        steps_per_exposure: int = 1,
        trained_blocks: int | None = None,
        precision: str = "fp32",
        seed: int = 0,
    ) -> None:
        self.options = MemoryOptions.of(
            stimuli=NOWHERE,
            out=NOWHERE,
            gpt=gpt,
            tokenizer=tokenizer,
            colours=colours,
            size=size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            optimizer_state=optimizer_state,
            grad_clip=grad_clip,
            steps_per_exposure=steps_per_exposure,
            trained_blocks=trained_blocks,
            precision=precision,
            **({} if gpt else find_preset(preset, PRESETS).flat()),
        )
        self.seed = seed
        self.palette_seed = palette_seed
        self.name = ", ".join(filter(None, [self.options.model_name(), self.readout]))
        folder = tokenizer or (brought_tokenizer(gpt) if gpt else None)
        self.tokenizer: Tokenizer | None = load_tokenizer(folder) if folder else None
        given = (fingerprint_of_origin(self.options), self.tokenizer.fingerprint if self.tokenizer else "")
        self.fingerprint = " ".join(filter(None, given))
        self.size = self.tokenizer.size if self.tokenizer else size
        length = prod(self.tokenizer.grid(1, self.size, self.size)) if self.tokenizer else size**2
        self.tokens = 0 if self.readout else length
        self.encoded: dict[bytes, Tensor] = {}
        """(L,) int64 tokens of images, by their pixels."""

    def prepare(self, images: Tensor) -> None:
        """Make a palette where there is no tokenizer, encode the images (N, 3, H, W), and make the GPT."""
        if self.tokenizer is None:
            pixels = images.movedim(1, -1).reshape(-1, 3)
            self.tokenizer = Palette.fit(pixels, self.options.material.colours, self.size, self.palette_seed)
        self.tokenizer = self.tokenizer.to(best_device())
        self._encode(images)
        self.learner = self._begin(self.tokenizer)

    def study(self, images: Tensor) -> None:
        """Take the optimizer steps of these images (N, 3, H, W)."""
        if self.options.learning_rate:
            self.learner.gpt.train()
            self.learner.learn(self._encode(images))

    def score(self, images: Tensor) -> Tensor:
        """Return the mean NLL per token of images (N, 3, H, W), in nats: (N,)."""
        return score(self.learner.gpt, None, self._encode(images))["weights"]

    def state(self) -> dict[str, Tensor]:
        """Return weights and moments."""
        return tensors_of(self.learner.gpt, self.learner.optimizer)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take them back."""
        load_tensors_of(self.learner.gpt, self.learner.optimizer, state)

    def _begin(self, tokenizer: Tokenizer) -> Learner:
        grid = tokenizer.grid(1, self.size, self.size)
        material = Material(
            tokens={},
            afterwards=torch.zeros(0, prod(grid), dtype=torch.int64),
            grid=grid,
            vocab_size=tokenizer.vocab_size,
            tokenizer=tokenizer,
        )
        learner, _ = begin_learner(self.options, material, self.seed, NOWHERE)
        return learner

    def _encode(self, images: Tensor) -> Tensor:
        """Return the tokens (N, L) of images, each of which is encoded once."""
        assert self.tokenizer is not None, "it is prepared"
        keys = [image.numpy().tobytes() for image in images]
        new = [index for index, key in enumerate(keys) if key not in self.encoded]
        for start in range(0, len(new), IMAGES_AT_ONCE):
            part = new[start : start + IMAGES_AT_ONCE]
            tokens = self.tokenizer.encode(images[part][:, :, None].to(best_device())).flatten(1).cpu()
            self.encoded |= {keys[index]: of_image for index, of_image in zip(part, tokens, strict=True)}
        return torch.stack([self.encoded[key] for key in keys]).to(best_device())


class OwnGPTRatio(OwnGPT):
    """The same, scored by what study has changed: the NLL per token as it is, minus that before any study."""

    readout = "likelihood ratio"

    def prepare(self, images: Tensor) -> None:
        """Make it, and keep a copy of it as it is before study."""
        super().prepare(images)
        self.before = copy.deepcopy(self.learner.gpt)

    def score(self, images: Tensor) -> Tensor:
        """Return the differences (N,), in nats per token."""
        return super().score(images) - score(self.before, None, self._encode(images))["weights"]


class OwnGPTStore(OwnGPT):
    """A GPT whose weights stay as they are, with a store of what it has made of every image it studied.

    Args:
        gpt: see `OwnGPT`.
        preset: see `OwnGPT`.
        tokenizer: see `OwnGPT`.
        colours: see `OwnGPT`.
        size: see `OwnGPT`.
        palette_seed: see `OwnGPT`.
        store_layer: block, from 1, whose output is stored.
        seed: of new weights.

    Raises:
        CheckpointError: there is no such GPT, or tokenizer.
        ValueError: faiss is not installed, or there is no such block.
    """

    readout = "store"

    def __init__(
        self,
        gpt: Path | None = None,
        preset: str = "tiny",
        tokenizer: Path | None = None,
        colours: int = 64,
        size: int = 8,
        palette_seed: int = 0,
        store_layer: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(gpt, preset, tokenizer, colours, size, palette_seed, learning_rate=0.0, seed=seed)
        self.store_layer = store_layer
        self.stored: dict[bytes, Tensor] = {}
        """(L,) int64 tokens of what is stored, by their bytes."""

    def prepare(self, images: Tensor) -> None:
        """Make it, with an empty store."""
        super().prepare(images)
        self.store = EpisodicStore(self.learner.gpt, self.store_layer)

    def study(self, images: Tensor) -> None:
        """Store images (N, 3, H, W) that are not stored yet."""
        self._write(self._encode(images))

    def score(self, images: Tensor) -> Tensor:
        """Return minus the logarithm of the similarity to the nearest image that is stored, (N,)."""
        return self.store.score(self._encode(images)).familiarity

    def state(self) -> dict[str, Tensor]:
        """Return the tokens (M, L) of what is stored."""
        return {"stored": torch.stack(list(self.stored.values()))} if self.stored else {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Store them again."""
        if state:
            self._write(state["stored"])

    def _write(self, tokens: Tensor) -> None:
        """Store those of tokens (N, L) that are not stored yet, one by one, so that each is read alone."""
        for of_image in tokens:
            key = of_image.cpu().numpy().tobytes()
            if key not in self.stored:
                self.stored[key] = of_image.cpu()
                self.store.write(of_image[None].to(self.learner.device))
