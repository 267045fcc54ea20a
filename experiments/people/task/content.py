"""What the page of a task knows: its list, its settings and its orders, as scripts, for pages may read no other files.

list.js              names of pictures and trials, and the settings
orders/<number>.js   one plan each (`experiments.people.task.plan`)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.stimuli.lists import Stimulus, StimulusList
from experiments.people.options import TaskOptions
from experiments.people.task.plan import USUAL_SHARE, Plan, make_plan, wanted_repeats
from storage.files import write_text

CONTINUOUS_SHARE = 0.5
"""Share of the pictures that are repeated in the continuous task, unless another is asked for: a third of the stream
are then repeats, and two thirds new."""
PAUSE = 1000
"""Milliseconds of a break in which no key ends it, as the last answer may come late."""


@dataclass(frozen=True)
class RepeatRow:
    """Repeats at one lag: a row of repeats.csv."""

    lag: int
    """Pictures from the first showing to the second, 1 being immediately after."""
    repeats: int
    """Pictures that each participant sees again at this lag; the first order's, as the others have the same or, where
    the stream is short, a few more or fewer."""


@dataclass(frozen=True)
class Design:
    """A list, and how it is shown."""

    name: str
    """Of the list, as in trials.csv of `memory run`."""
    versions: Mapping[str, StimulusList]
    options: TaskOptions

    @property
    def given(self) -> StimulusList:
        """The list as given."""
        return self.versions["as_given"]

    @property
    def tested(self) -> int:
        """Choices that follow."""
        return len(self.given.trials) if self.options.task == "2afc" else 0

    @property
    def images(self) -> dict[str, Stimulus]:
        """Every picture that is shown in some version, by path in the list, in order."""
        every = self.given.images if len(self.versions) > 1 or self.tested else self.given.study
        return {image.path: image for image in every}

    @property
    def repeats(self) -> dict[int, int]:
        """How many pictures are to be repeated at each lag."""
        share = self.options.repeats
        if share is None:
            share = USUAL_SHARE if self.tested else CONTINUOUS_SHARE
        return wanted_repeats(len(self.given.study), len(self._repeatable), share, self.options.lags)

    @property
    def _repeatable(self) -> list[int]:
        """Indices of the studied pictures that may be repeated: not what is tested, which is to be seen once."""
        tested = {trial.studied.path for trial in self.given.trials} if self.tested else set()
        return [index for index, image in enumerate(self.given.study) if image.path not in tested]

    def plan(self, order: int) -> Plan:
        """Return what a participant with this order sees."""
        seed = (self.options.seed, order)
        return make_plan(len(self.given.study), self._repeatable, self.repeats, self.tested, seed)


def settings_of(options: TaskOptions) -> dict[str, Any]:
    """Return what the page does by its options; times in milliseconds."""
    return {
        "task": options.task,
        "show": 1000 * options.show,
        "blank": 1000 * options.blank,
        "limit": None if options.limit is None else 1000 * options.limit,
        "feedback": options.feedback,
        "break_every": options.break_every,
        "image_size": options.image_size,
        "pause": PAUSE,
    }


def describe_list(design: Design, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what `list.js` says of a design, with the digest by which one task is told from another.

    Args:
        design: the list, and how it is shown.
        names: of the pictures' files, by path in the list.
    """
    places = {path: index for index, path in enumerate(design.images)}
    trials = design.given.trials if design.tested else ()
    said = {
        "name": design.name,
        "seed": design.options.seed,
        "orders": design.options.orders,
        "settings": settings_of(design.options),
        "images": [{"file": f"images/{names[path]}", "path": path} for path in places],
        "study": {
            version: [places[image.path] for image in listed.study] for version, listed in design.versions.items()
        },
        "trials": [
            {
                "item": trial.item,
                "condition": trial.condition,
                "studied": places[trial.studied.path],
                "foil": places[trial.foil.path],
            }
            for trial in trials
        ],
        "repeats": {str(lag): number for lag, number in design.repeats.items()},
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()
    return {"id": digest[:16], **said}


def write_orders(design: Design, folder: Path) -> Plan:
    """Write all orders, and return the first."""
    first = design.plan(0)
    for order in range(design.options.orders):
        plan = first if order == 0 else design.plan(order)
        said = {"stream": plan.stream, "lags": plan.lags, "trials": plan.trials, "left": plan.studied_left}
        write_script(folder / f"{order:06d}.js", "order", said)
    return first


def write_script(path: Path, name: str, value: Any) -> None:
    """Write a script that makes a value known to the page; names of files in it stay text."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    write_text(path, f"window.Secondsight ??= {{}};\nSecondsight.{name} = {text};\n")
