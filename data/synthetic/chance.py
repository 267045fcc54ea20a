"""Streams of random numbers that depend on names and integers only."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Kind = TypeVar("Kind")


def stream(domain: str, *numbers: int) -> np.random.Generator:
    """Return a generator that depends on the name and the integers only, and on all of them."""
    digest = hashlib.sha256(":".join(["synthetic", domain, *map(str, numbers)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def pick(rng: np.random.Generator, choices: Sequence[Kind]) -> Kind:
    """Return one of some choices, each as often."""
    return choices[int(rng.integers(len(choices)))]


def happens(rng: np.random.Generator, share: float) -> bool:
    """Whether something happens that happens in a share of cases."""
    return bool(rng.random() < share)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between two positive ones whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
