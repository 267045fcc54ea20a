"""The learner: a GPT that learns lists by heart, and what one exposure does to its weights.

An exposure is one presentation of every item of a list, in a new order. All that is random about it (the order, what is
rehearsed, dropout) is a pure function of the seed and of the passes done before, so that a learner that was saved and
restored goes on as if nothing had happened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePath

import torch
from accelerate import Accelerator
from torch import Tensor

from data.stimuli.lists import StimulusList
from experiments.memory.material import Material
from experiments.memory.options import MemoryOptions
from gpt.convert import convert_mingpt, draw_mingpt
from gpt.flops import parameter_count
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from storage.checkpoints import newest_checkpoint
from storage.checksums import fingerprint
from storage.model_folder import load_weights
from storage.places import list_checkpoints
from training.order import epoch_order, seed_step
from training.precision import forget_earlier_trainings, is_bf16
from training.processes import best_device
from training.state import load_training_state, save_checkpoint

MOMENTUM = 0.9
"""Of gradient descent."""
IGPT2022_PROCESSES = 16
"""GPUs that the public code of Orhan (2022) studies on."""


class Learner:
    """A GPT that studies lists.

    Args:
        gpt: the model, changed in place. In bf16 its forward pass has autocast in it from then on, so that tests, too,
            are computed in what it studies in.
        options: how it learns.
        seed: decides the order of study and what is rehearsed.
        checkpoint: a checkpoint of `gpt`, with whose optimizer state it begins; None begins with an empty one.

    Raises:
        ValueError: more blocks are to be trained than there are.
    """

    def __init__(self, gpt: GPT, options: MemoryOptions, seed: int, checkpoint: Path | None = None) -> None:
        self.gpt = gpt
        self.options = options
        self.seed = seed
        if options.learning.trained_blocks is not None:
            freeze(gpt, options.learning.trained_blocks)
        half = is_bf16(options.learning.precision, best_device())
        forget_earlier_trainings()  # whose precision this one would have
        self.accelerator = Accelerator(mixed_precision="bf16" if half else "no")
        self.model, self.optimizer = self.accelerator.prepare(gpt, make_optimizer(gpt, options))
        if checkpoint is not None:
            load_training_state(checkpoint, {"gpt": self.optimizer})
            for group in self.optimizer.param_groups:
                group["weight_decay"] = 0.0

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return self.accelerator.device

    def study(self, items: Tensor, listed: Tensor, known: Tensor, number: int) -> None:
        """Present every item of a list once, in an order that depends on `number`.

        Args:
            items: (N, L) int64 token sequences, those of the list and others.
            listed: (M,) int64 indices of the items on the list, as they are shuffled.
            known: (N,) bool, the items that earlier passes presented; with those that this pass has presented they
                may be rehearsed.
            number: passes so far, this one included: 1, 2, ...
        """
        options = self.options
        if options.learning_rate == 0:
            return
        seed_step(self.seed, number)
        self.gpt.train()
        shuffle = igpt2022_order if options.learning.order == "igpt2022" else epoch_order
        order = listed[shuffle(len(listed), self.seed, number)]
        for chosen in batches(order, known, options.batch, options.learning.replay, self.seed + 1_000_003 * number):
            self.learn(items[chosen])

    def learn(self, items: Tensor) -> None:
        """Take the optimizer steps of one batch, (B, L) int64 tokens; the GPT is in training mode."""
        learning = self.options.learning
        for _ in range(learning.steps_per_exposure):
            train_step(
                self.accelerator,
                self.model,
                self.optimizer,
                items,
                self.options.learning_rate,
                learning.grad_clip,
            )

    def save(self, folder: Path, number: int) -> None:
        """Write the state after pass `number` as the only checkpoint of `folder`.

        Raises:
            CheckpointWriteError: the disk is full.
            FloatingPointError: the learner has diverged.
        """
        save_checkpoint(folder, number, self.gpt, {"gpt": self.optimizer}, keep=1)


def begin_learner(options: MemoryOptions, material: Material, seed: int, state: Path) -> tuple[Learner, int]:
    """Return the learner of a run, and the passes it has done: as `state` holds it, or as it is before study.

    Raises:
        CheckpointError: `--gpt` holds no GPT.
        MismatchError: it does not belong to the tokens of the material.
        ValueError: its optimizer state is asked for, and is not there.
    """
    saved = newest_checkpoint(state)
    if saved is not None:
        return Learner(GPT.from_pretrained(saved), options, seed, saved), int(saved.name)
    if options.gpt is None:
        torch.manual_seed(seed)
        config = options.model.for_tokens(material.grid, material.vocab_size, material.fingerprint)
        gpt = GPT(config)
        if options.learning.initial_weights == "mingpt":
            load_weights(gpt, convert_mingpt(draw_mingpt(config, seed)), "minGPT")
        return Learner(gpt, options, seed), 0
    checkpoint = find_optimizer_state(options.gpt) if options.learning.optimizer_state == "resume" else None
    gpt = GPT.from_pretrained(checkpoint or options.gpt)
    material.check(gpt)
    return Learner(gpt, options, seed, checkpoint), 0


def fingerprint_of_origin(options: MemoryOptions) -> str:
    """Return the fingerprint of the GPT that every run begins with; empty for a new one.

    Raises:
        CheckpointError: `--gpt` holds no GPT.
        ValueError: its optimizer state is asked for, and is not there.
    """
    if options.gpt is None:
        return ""
    checkpoint = find_optimizer_state(options.gpt) if options.learning.optimizer_state == "resume" else None
    gpt = GPT.from_pretrained(checkpoint or options.gpt)
    return fingerprint(gpt.description, gpt.state_dict())


def describe_model(options: MemoryOptions, material: Material) -> str:
    """Return what every run begins with, in words: its origin, its architecture and its number of parameters.

    Raises:
        CheckpointError: `--gpt` holds no GPT.
        MismatchError: it does not belong to the tokens of the material.
    """
    if options.gpt is None:
        origin = "new"
        config = options.model.for_tokens(material.grid, material.vocab_size, material.fingerprint)
    else:
        origin = f"from {options.gpt}"
        gpt = GPT.from_pretrained(options.gpt)
        material.check(gpt)
        config = gpt.config
    return f"{origin}, {config.describe()}, {parameter_count(config):,} parameters"


def find_optimizer_state(path: Path) -> Path:
    """Return the checkpoint with an optimizer state that `path` means: itself, or the newest of a run.

    Raises:
        ValueError: there is none.
    """
    # The newest, whole or not: a run that is about to be studied does not silently become an earlier one.
    checkpoint = path if (path / "training_state").is_dir() else next(reversed(list_checkpoints(path)), None)
    if checkpoint is None:
        raise ValueError(
            f"{path} holds no optimizer state: give --gpt a run of `secondsight gpt train` or one of its checkpoints, "
            "or begin with --optimizer-state fresh"
        )
    return checkpoint


def igpt2022_order(items: int, seed: int, number: int) -> Tensor:
    """Return the order of pass `number` (1, 2, ...) of the public code of Orhan (2022): (M,) int64 indices.

    That code has its items shuffled by the DistributedSampler of torch, which fills up the last turn of its 16
    processes with the first items once more: M is the next multiple of 16, and up to 15 items are presented twice.
    Each process takes every 16th item, and the processes average their gradients, so that a step sees the next
    `--batch` items (a multiple of 16) of this order.
    """
    generator = torch.Generator().manual_seed(seed + number - 1)
    order = torch.randperm(items, generator=generator)
    length = math.ceil(items / IGPT2022_PROCESSES) * IGPT2022_PROCESSES
    return order.repeat(math.ceil(length / items))[:length]


def image_folder_order(stimuli: StimulusList) -> list[int]:
    """Return the indices of the studied images in the order in which torchvision's ImageFolder lists them.

    It goes by class (the folder within `study`), then by folder, then by file name. In a swapped list a foil lies in
    the folder of the image that it replaces, under its own name, as in the second of the published lists.
    """
    replaced = {trial.studied.path: trial.foil.path for trial in stimuli.trials}

    def key(index: int) -> tuple[str, str, str]:
        path = stimuli.study[index].path
        place = PurePath(path if path.startswith("study/") else replaced.get(path, path))
        return "".join(place.parts[1:2]), str(place.parent), PurePath(path).name

    return sorted(range(len(stimuli.study)), key=key)


def batches(order: Tensor, known: Tensor, size: int, replay: int, seed: int) -> Iterator[Tensor]:
    """Yield the indices of each batch, followed by up to `replay` others that have been presented before.

    Args:
        order: (M,) int64 indices, as they are presented.
        known: (N,) bool, what earlier passes have presented.
        size: of a batch, without what is rehearsed.
        replay: items rehearsed along with each batch, as far as there are any to rehearse.
        seed: decides which.
    """
    known = known.clone()
    generator = torch.Generator().manual_seed(seed)
    for chosen in order.split(size):
        known[chosen] = False  # nothing is rehearsed in the batch that presents it
        candidates = known.nonzero().flatten()
        rehearsed = torch.randperm(len(candidates), generator=generator)[:replay]
        yield torch.cat([chosen, candidates[rehearsed]])
        known[chosen] = True


def freeze(gpt: GPT, trained: int) -> None:
    """Let only the last `trained` blocks, and the norm and the head that follow them, learn.

    Raises:
        ValueError: there are fewer blocks.
    """
    blocks = list(gpt.blocks)
    if trained > len(blocks):
        raise ValueError(f"--trained-blocks {trained} is more than the {len(blocks)} blocks of the GPT")
    gpt.requires_grad_(False)
    for module in (*blocks[len(blocks) - trained :], gpt.norm, gpt.head):
        module.requires_grad_(True)


def make_optimizer(gpt: GPT, options: MemoryOptions) -> torch.optim.Optimizer:
    """Return Adam (Kingma and Ba 2015, with their defaults) or gradient descent with momentum, without decay."""
    if options.learning.optimizer == "sgd":
        return torch.optim.SGD(gpt.parameters(), lr=options.learning_rate, momentum=MOMENTUM)
    # In the groups of a training, so that its moments belong to the same weights.
    groups = build_optimizer(gpt, options.learning_rate, weight_decay=0.0).param_groups
    return torch.optim.Adam([{"params": group["params"]} for group in groups], lr=options.learning_rate, fused=True)
