"""The law of loss in parameters and data: L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, equation 10).

Where items were seen more than once, D is the effective number of different items (Muennighoff et al. 2023, equation
5): U + U R (1 - exp(-r / R)) for U different items that were repeated r = D / U - 1 times. R, the decay of repeats, is
learned: repeats up to about R are worth nearly as much as new items, and many more of them hardly anything. Their other
term, for parameters in excess of what U different items can use, is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FLOP_PER_PARAMETER_AND_ITEM = 6.0
"""Of a training, forwards and backwards (Kaplan et al. 2020, section 2.1)."""


@dataclass(frozen=True)
class Law:
    """A law of loss with its parameters."""

    floor: float
    """E: the loss that no size and no data go below."""
    parameters_scale: float
    """A."""
    data_scale: float
    """B."""
    alpha: float
    """Exponent of parameters."""
    beta: float
    """Exponent of data."""
    repeats: float = math.inf
    """R: the decay of repeats; infinite where repeated items count as new ones."""

    def loss(self, parameters: ArrayLike, data: ArrayLike, unique: ArrayLike | None = None) -> Floats:
        """Return losses (n,), in the unit of the floor.

        Args:
            parameters: (n,) of the models, positive.
            data: (n,) items seen, positive.
            unique: (n,) different items among them; all of them if not given.
        """
        seen = np.asarray(data, np.float64)
        worth = seen if unique is None else effective(seen, np.asarray(unique, np.float64), self.repeats)
        of_size = self.parameters_scale * np.asarray(parameters, np.float64) ** -self.alpha
        return self.floor + of_size + self.data_scale * worth**-self.beta

    def optimum(self, compute: ArrayLike, factor: float = FLOP_PER_PARAMETER_AND_ITEM) -> tuple[Floats, Floats]:
        """Return the parameters (n,) and items (n,) of least loss, where every item is new (ibid., equation 4).

        They are NaN where losses do not fall with both.

        Args:
            compute: (n,) FLOP of trainings.
            factor: FLOP per parameter and item.
        """
        total = np.log(np.asarray(compute, np.float64) / factor)
        if not self.falls:
            return np.full_like(total, np.nan), np.full_like(total, np.nan)
        ratio = self.alpha * self.parameters_scale / (self.beta * self.data_scale)
        size = (math.log(ratio) + self.beta * total) / (self.alpha + self.beta)
        return np.exp(size), np.exp(total - size)

    @property
    def falls(self) -> bool:
        """Whether losses fall with parameters and with data."""
        return min(self.alpha, self.beta, self.parameters_scale, self.data_scale) > 0

    @property
    def size_exponent(self) -> float:
        """Exponent with which the parameters of least loss grow with compute: beta / (alpha + beta)."""
        return self.beta / (self.alpha + self.beta)


def effective(data: Floats, unique: Floats, repeats: float) -> Floats:
    """Return what items are worth (n,), in different items.

    Args:
        data: (n,) items seen.
        unique: (n,) different items among them; more than were seen means that all were different.
        repeats: the decay of repeats, positive; may be infinite.
    """
    different = np.minimum(unique, data)
    if math.isinf(repeats):
        return np.array(data)
    again = data / different - 1
    return different * (1 - repeats * np.expm1(-again / repeats))
