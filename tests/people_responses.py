"""Participants who were scripted: what they answer follows from what they remember."""

from collections.abc import Sequence

import numpy as np

from experiments.people.table import Response, Task

CONDITIONS = ("novel", "exemplar", "state")


def make_choices(
    share: float = 0.8,
    participants: int = 4,
    items: int = 10,
    conditions: Sequence[str] = CONDITIONS,
    seed: int = 0,
    list_name: str = "list",
    first: int = 0,
) -> list[Response]:
    """Choices of participants who remember each image with a probability, and guess otherwise.

    Participants take turns in the two versions of the list; the first code is p<first>.
    """
    generator = np.random.default_rng(seed)
    names = [(condition, f"{condition}/{item}") for condition in conditions for item in range(items)]
    rows = []
    for number in range(first, first + participants):
        for trial, (condition, item) in enumerate(names):
            correct = float(generator.random() < share or generator.random() < 0.5)
            rows.append(
                Response(
                    participant=f"p{number}",
                    list=list_name,
                    version=("as_given", "swapped")[number % 2],
                    task="2afc",
                    trial=trial,
                    item=item,
                    condition=condition,
                    response="studied" if correct else "foil",
                    correct=correct,
                    reaction_time=round(float(generator.uniform(0.4, 2.0)), 3),
                    lag=None,
                    side=("left", "right")[trial % 2],
                )
            )
    return rows


def make_repeats(
    hits: float = 0.9,
    false_alarms: float = 0.05,
    participants: int = 4,
    lags: Sequence[int] = (1, 8, 64),
    per_lag: int = 4,
    task: Task = "vigilance",
    seed: int = 0,
    list_name: str = "list",
) -> list[Response]:
    """Answers in a stream in which every lag has so many repeats, and every repeat two pictures that are new."""
    generator = np.random.default_rng([seed, 1])
    pictures = [(lag, f"study/{lag}_{index}.png") for lag in lags for index in range(per_lag)]
    shown = [(None, path) for _, path in pictures] + [(None, f"{path}.new.png") for _, path in pictures]
    shown += [(lag, path) for lag, path in pictures]
    rows = []
    for number in range(participants):
        for trial, (lag, path) in enumerate(shown):
            called = bool(generator.random() < (false_alarms if lag is None else hits))
            rows.append(
                Response(
                    participant=f"p{number}",
                    list=list_name,
                    version=("as_given", "swapped")[number % 2],
                    task=task,
                    trial=trial,
                    item=path,
                    condition="new" if lag is None else "repeat",
                    response="repeat" if called else "new",
                    correct=float(called == (lag is not None)),
                    reaction_time=None,
                    lag=lag,
                )
            )
    return rows
