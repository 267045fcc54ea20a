"""What is measured of the cells of a ladder besides their loss. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data.inputs import check_data, check_stimuli
from experiments.diversity.options import DiversityOptions
from experiments.memory.options import MemoryOptions
from experiments.physics.options import PhysicsRunOptions, check_films
from gpt.options import EvaluateOptions
from storage.checked_files import RefusedFileError, check_file, read_json
from storage.config_file import COMMAND, read_config_file
from storage.model_paths import check_model
from storage.options import LARGEST_RATE, OptionError, Options, option, unknown_name
from vqgan.options import EvaluateOptions as ReconstructionOptions

Task = Literal["nll", "memory", "diversity", "physics", "reconstruction"]
ReadoutName = Literal[
    "film_mean",
    "film_maximum",
    "event_mean",
    "event_maximum",
    "object_film_mean",
    "object_film_maximum",
    "object_event_mean",
    "object_event_maximum",
]
"""Names of `experiments.physics.readouts.READOUTS`."""

FILE = "file of --task-options"

KINDS: dict[Task, type[Options]] = {
    "nll": EvaluateOptions,
    "memory": MemoryOptions,
    "diversity": DiversityOptions,
    "physics": PhysicsRunOptions,
    "reconstruction": ReconstructionOptions,
}
"""The options of the command that measures each task."""
NEEDS: dict[Task, tuple[str, ...]] = {
    "nll": (),
    "memory": ("tokenizer", "stimuli"),
    "diversity": ("tokenizer", "data"),
    "physics": ("tokenizer", "films"),
    "reconstruction": ("tokenizer", "data"),
}
"""The options that each task cannot do without."""


@dataclass(frozen=True)
class CellTaskOptions(Options):
    """Which tasks the cells are measured on, and with what.

    Nothing of it tells ladders apart: what was measured lies in folders of its own, each of which knows its options.
    """

    tasks: tuple[Task, ...] = option((), identity="none")
    """What is measured of every cell when all are trained: `nll` of held-out tokens; `memory`, recognition of
    --stimuli; `diversity` of continuations, and how near to the truth they are; `physics`, surprise at --films; and
    `reconstruction`, which is the tokenizer's and the same for all cells."""
    tokenizer: Path | None = option(None, identity="none", must_hold=check_model)
    """The tokenizer that encoded --tokens, for all tasks but `nll`."""
    data: Path | None = option(None, identity="none", must_hold=check_data)
    """The videos or images that --tokens was encoded from, for `diversity` and `reconstruction`."""
    stimuli: Path | None = option(None, identity="none", must_hold=check_stimuli)
    """Folder of the list for `memory`, in the study/test layout."""
    films: Path | None = option(None, identity="none", must_hold=check_films)
    """Set of films for `physics`: see `physics run`."""
    exposures: tuple[int, ...] = option((1, 2, 5, 10), at_least=1, at_most=10**6, identity="none")
    """Passes over the list after which recognition is in the table; there are as many as the largest says."""
    memory_learning_rate: float | None = option(None, at_least=0, at_most=LARGEST_RATE, identity="none")
    """Learning rate while the list is studied; that of `memory run` if not given."""
    readout: ReadoutName = option("film_mean", identity="none")
    """How the surprise of a film becomes one number in the table, the same for all cells: over all latent frames or
    those of the event, all tokens or those of the object, their mean or the largest of a latent frame."""
    task_options: tuple[Path, ...] = option((), identity="none", must_hold=partial(check_file, what=FILE))
    """Files in the form of a config.json with further options of the commands that measure: of `gpt eval`,
    `memory run`, `diversity run`, `physics run` or `vqgan eval`, whichever its entry `command` names."""

    def check(self) -> None:
        """Check that each task has what it needs, and that nothing is given that none of them needs.

        Raises:
            ValueError: an option is missing or idle, or names a value twice.
        """
        for name in ("tasks", "exposures"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"--{name} {' '.join(map(str, values))} names a value twice")
        if not self.exposures:
            raise ValueError("--exposures needs at least one value")
        for task in self.tasks:
            for name in NEEDS[task]:
                if getattr(self, name) is None:
                    raise ValueError(f"--tasks {task} needs --{name}")
        if self.task_options and not self.tasks:
            raise ValueError("--task-options are for --tasks: add some, or leave the files out")
        for name in ("tokenizer", "data", "stimuli", "films"):
            users = [task for task, needs in NEEDS.items() if name in needs]
            if getattr(self, name) is not None and not set(users) & set(self.tasks):
                raise ValueError(f"--{name} is for --tasks {' or '.join(users)}: add one, or leave it out")

    def further(self, task: Task) -> dict[str, Any]:
        """Return the options by name that files of `task_options` give to the command of a task.

        Raises:
            OptionError: a file cannot be used, or two are of the same command.
        """
        return self._by_command().get(KINDS[task].command, {})

    def _by_command(self) -> Mapping[str, dict[str, Any]]:
        tasks = {kind.command: task for task, kind in KINDS.items()}
        found: dict[str, dict[str, Any]] = {}
        for path in self.task_options:
            command = _command_of(path)
            if command not in tasks:
                raise OptionError(f"--task-options {path}: {unknown_name('command that measures', command, tasks)}")
            if tasks[command] not in self.tasks:
                raise OptionError(
                    f"--task-options {path} is for --tasks {tasks[command]}: add it, or leave the file out"
                )
            if command in found:
                raise OptionError(f"--task-options {path}: another file has options of `{command}`, too: give one")
            found[command] = read_config_file(path, KINDS[tasks[command]])
        return found


def _command_of(path: Path) -> str:
    """Return which command a file has options of.

    Raises:
        OptionError: it is missing, no JSON object, or does not say so.
    """
    try:
        content = read_json(path, FILE, finite=False)
    except RefusedFileError as error:
        raise OptionError(str(error)) from error
    command = content.get(COMMAND) if isinstance(content, dict) else None
    if not isinstance(command, str):
        raise OptionError(f"--task-options {path} does not name its `command`, such as memory run")
    return command
