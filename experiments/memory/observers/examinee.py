"""Who sits the test: an observer, what it must be able to do, and what is checked of what it says.

Axes: N images, H rows and W columns of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from experiments.memory.observers.options import DEFAULT_SIZE, ObserverOptions
from experiments.observer_settings import parse_settings
from experiments.observers import ObserverError, failing_as, load_observer
from training.order import seed_step

WEIGHTS = "weights"
"""The readout of an observer that has one."""
STUDYING, TESTING = 0, 1
"""Streams of random numbers of a pass."""


class Observer(Protocol):
    """A model that studies images and says how familiar it finds others.

    These it may have besides:

    - an argument `seed` of its `__init__`, which gets the seed of the run;
    - `prepare(images)`, which is given all images of the list once before study, studied ones and foils alike and in
      order of path, for what must fit the material and favour neither, such as a palette;
    - `reset()`, which makes it what it was before any study: then one observer serves all runs, instead of a new one
      for each;
    - `state()`, which returns everything it has learned as tensors by name, and `load_state(state)`, which takes them
      back: then an interrupted run goes on from there, instead of studying again what it had studied;
    - `size`, pixels a side at which it wants to see images; `name`, what it is called in tables; `fingerprint`, a text
      that changes with everything that changes its scores: results of another one are not gone on with;
    - `tokens`, where scores are the mean NLL of so many tokens in nats, which are then given in bits per pixel, too.

    Torch's random numbers are seeded before it is made, and before every pass and every test.
    """

    def study(self, images: Tensor) -> None:
        """Study some images once: (N, 3, H, W) float32 in [-1, 1], on the CPU.

        An exposure is a pass over the list, in a new order, some images at a time.
        """

    def score(self, images: Tensor) -> Tensor | Mapping[str, Tensor]:
        """Return how unfamiliar images are, (N,), lower for more familiar; or that of several readouts by name.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1], on the CPU: all that are tested, at once. No gradients are kept.
        """


class Examinee:
    """An observer as the test knows it.

    Args:
        options: which it is, and its settings.
        seed: of the run.
        counted: what its passes are called, where it fails in one.

    Raises:
        ObserverError: it cannot be made.
        ValueError: its settings are not those that it takes.
    """

    def __init__(self, options: ObserverOptions, seed: int, counted: str = "exposure") -> None:
        torch.manual_seed(seed)
        self.options = options
        self.counted = counted
        settings = parse_settings(options.settings)
        offered = {"seed": seed, **({"size": options.size} if options.size else {})}
        self.observer = load_observer(options.module_class, "study", "score", settings=settings, offered=offered)
        self.seed = seed

    @property
    def name(self) -> str:
        """What its rows are called by."""
        return str(getattr(self.observer, "name", None) or self.options.called)

    @property
    def size(self) -> int:
        """Pixels a side at which it sees images.

        Raises:
            ObserverError: it wants another size than was asked for, or none that there is.
        """
        wanted = getattr(self.observer, "size", None)
        if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1):
            raise ObserverError(f"observer {self.name} has the size {wanted!r}: it must be a whole number of pixels")
        return self.options.size or wanted or DEFAULT_SIZE

    @property
    def fingerprint(self) -> str:
        """What it is known by; empty where it says nothing."""
        return str(getattr(self.observer, "fingerprint", ""))

    @property
    def tokens(self) -> int:
        """Of an image, where its scores are nats per token; else 0."""
        return int(getattr(self.observer, "tokens", 0))

    @property
    def pixels(self) -> int | None:
        """Of an image, where its scores are nats per token."""
        return self.size**2 if self.tokens else None

    def begin_again(self, seed: int) -> Examinee:
        """Return it as it was before any study: itself, or where it cannot forget a new one."""
        if not callable(getattr(self.observer, "reset", None)):
            return Examinee(self.options, seed, self.counted)
        torch.manual_seed(seed)
        with failing_as(f"observer {self.name} cannot be reset"):
            self.observer.reset()
        self.seed = seed
        return self

    def prepare(self, images: Tensor) -> None:
        """Show it all images (N, 3, H, W) of the list, where it wants to see them."""
        if callable(getattr(self.observer, "prepare", None)):
            self._call("prepare", images, "cannot be prepared")

    def begin_pass(self, number: int) -> None:
        """Seed what is random about pass `number` (1, 2, ...)."""
        seed_step(self.seed, number, STUDYING)

    def study(self, images: Tensor, number: int) -> None:
        """Let it study images (N, 3, H, W) in pass `number`.

        Raises:
            ObserverError: it fails.
        """
        self._call("study", images, f"failed while it studied, in {self.counted} {number}")

    def score(self, images: Tensor, names: Sequence[str], number: int) -> dict[str, Tensor]:
        """Return its scores of images after pass `number`, by readout: (N,) float64 on the CPU.

        Args:
            images: (N, 3, H, W).
            names: of them, to be said.
            number: passes so far, which seeds what is random about the test.

        Raises:
            ObserverError: it fails, or what it returns is not a finite number for each image.
        """
        seed_step(self.seed, number, TESTING)
        with torch.no_grad():
            given = self._call("score", images, f"failed at the test after {self.counted} {number}")
        by_readout = given if isinstance(given, Mapping) else {WEIGHTS: given}
        if not by_readout:
            raise ObserverError(f"observer {self.name} returned scores of no readout")
        return {str(readout): self._checked(scores, names, number) for readout, scores in by_readout.items()}

    @property
    def keeps_state(self) -> bool:
        """Whether what it has learned can be saved and restored."""
        return all(callable(getattr(self.observer, name, None)) for name in ("state", "load_state"))

    def state(self) -> dict[str, Tensor]:
        """Return what it has learned, as tensors by name that share no memory.

        Raises:
            ObserverError: it fails, or returns something else.
        """
        with failing_as(f"the state of observer {self.name} cannot be had"):
            given = self.observer.state()
        if not isinstance(given, Mapping) or not all(isinstance(tensor, Tensor) for tensor in given.values()):
            raise ObserverError(f"observer {self.name} returned a state that is not tensors by name")
        return {str(name): tensor.detach().cpu().clone().contiguous() for name, tensor in given.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Give back what `state` returned.

        Raises:
            ObserverError: it fails.
        """
        with failing_as(f"the state of observer {self.name} cannot be restored"):
            self.observer.load_state(state)

    def _call(self, method: str, images: Tensor, what: str) -> Any:
        called: Callable[[Tensor], Any] = getattr(self.observer, method)
        with failing_as(f"observer {self.name} {what}"):
            return called(images.clone())  # which it may change

    def _checked(self, given: Any, names: Sequence[str], number: int) -> Tensor:
        said = f"observer {self.name}, at the test after {self.counted} {number}, returned"
        try:
            scores = torch.as_tensor(given).detach().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ObserverError(f"{said} a {type(given).__name__}, no tensor: {error}") from error
        if scores.is_complex() or scores.dtype == torch.bool:
            raise ObserverError(f"{said} {scores.dtype}: scores are real numbers, lower for more familiar")
        if scores.shape != (len(names),):
            raise ObserverError(
                f"{said} scores of shape {tuple(scores.shape)} for {len(names)} images: ({len(names)},)"
            )
        wrong = (~scores.isfinite()).nonzero().flatten().tolist()
        if wrong:
            raise ObserverError(
                f"{said} {scores[wrong[0]]} for {names[wrong[0]]}, and no finite number for {len(wrong)} of "
                f"{len(names)} images"
            )
        return scores.double()
