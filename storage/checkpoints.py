"""The checkpoints of a run folder: which are there, which are whole, which is the newest and which the best.

`training.state` writes them, as `checkpoints/<step>`; folders whose names are no number are still being written. All
parts of one carry digests: of the model (see `storage.model_folder`), of `training_state/tensors.safetensors`, and of
`training_state/state.json`, which also has those of the other two, so that parts of several checkpoints are not taken
for one. Where several processes have saved in parts, the indices of the parts stand for the files of tensors
(`storage.tensor_parts`).
"""

from __future__ import annotations

import errno
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.checked_files import DamageError, FaultError, read_json
from storage.places import is_checkpoint, list_checkpoints
from storage.records import open_seal, seal
from storage.tensor_files import check_finite
from storage.tensor_parts import load_whole

DAMAGE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What the operating system says of a checkpoint of which a part is missing or something else."""

_said: set[Path] = set()
"""Damaged checkpoints of which was said that they do not count."""


def newest_checkpoint(run: Path, until: int | None = None) -> Path | None:
    """Return the newest checkpoint of a run that is whole, or None before the first.

    All its files are read. If newer ones are damaged, it says on stderr which, why, and which is used.

    Args:
        run: the run folder.
        until: the last step whose checkpoint will do; by default every one does.

    Raises:
        DamageError: there are checkpoints, and none is whole.
        OSError: one cannot be read, though its files are there.
    """
    damaged: list[str] = []
    for checkpoint in reversed(list_checkpoints(run)):
        if until is not None and int(checkpoint.name) > until:
            continue
        try:
            check_checkpoint(checkpoint)
        except DamageError as error:
            damaged.append(str(error))
            continue
        for reason in damaged:
            print(f"{reason}: the checkpoint is passed over", file=sys.stderr)
        if damaged:
            print(f"Going on from {checkpoint}, the newest that is whole", file=sys.stderr)
        return checkpoint
    if damaged:
        raise DamageError(
            f"no checkpoint in {run / 'checkpoints'} is whole (the newest: {damaged[0]}): restore one from a copy, or "
            "begin anew with --overwrite"
        )
    return None


def check_checkpoint(checkpoint: Path) -> None:
    """Read all parts of a checkpoint, and check that they are as written and belong together.

    Raises:
        DamageError: a file is missing, damaged, holds NaN, or is of another checkpoint.
        OSError: a file cannot be read, though it is there.
    """
    try:
        state = read_state(checkpoint)
        config = read_json(checkpoint / "config.json", "config of a model")
        digests = state.get("digests", {})
        model = checkpoint / "model.safetensors"
        check_finite(model, load_whole(model, config, digests.get("model")))
        load_training_tensors(checkpoint, state)
    except OSError as error:
        if isinstance(error, DAMAGE) or error.errno == errno.EIO:
            raise DamageError(f"{checkpoint} is not whole: {error.strerror}: {error.filename}") from error
        raise


def load_training_tensors(checkpoint: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of the training state by name, on the CPU.

    Args:
        checkpoint: a checkpoint.
        state: what `read_state` returned.

    Raises:
        DamageError: the file is damaged, holds NaN, or is of another step or run than the state.
        OSError: the file cannot be read.
    """
    path = checkpoint / "training_state" / "tensors.safetensors"
    tensors = load_whole(path, None, state.get("digests", {}).get("training_state"))
    check_finite(path, tensors)
    return tensors


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Return the `state.json` of a checkpoint: step, score, processes, settings of the optimizers, digests, whether
    it is kept for good.

    Raises:
        DamageError: it is damaged, or of another step than the checkpoint.
        OSError: it cannot be read.
    """
    path = checkpoint / "training_state" / "state.json"
    state = read_json(path, "state of a training")
    if not isinstance(state, dict):
        raise DamageError(f"{path} is damaged: it holds no names with values")
    try:
        state = open_seal(state)
    except FaultError as error:
        raise DamageError(f"{path} is damaged: {error}") from error
    wrong = [name for name, right in _right_types(state).items() if not right]
    if wrong:
        raise DamageError(f"{path} is damaged: {', '.join(wrong)} is missing or of a wrong type")
    if is_checkpoint(checkpoint) and int(checkpoint.name) != state["step"]:
        raise DamageError(f"{path} is of step {state['step']}, not of step {int(checkpoint.name)}")
    return state


def state_text(state: Mapping[str, Any]) -> str:
    """Return the content of a `state.json`, with its digest."""
    return json.dumps(seal(state))


def best_checkpoint(run: Path) -> Path | None:
    """Return the complete checkpoint of the best validation score, the oldest of equals; None if none has a score.

    Those whose score cannot be read do not count, which is said once.
    """
    scored = {path: score for path in list_checkpoints(run) if (score := _score(path)) is not None}
    return max(scored, key=scored.__getitem__, default=None)


def is_kept(checkpoint: Path) -> bool:
    """Whether it is noted in a checkpoint that it is kept for good, which versions before did not do.

    A damaged one is not kept; one that cannot be read at present is.
    """
    try:
        return bool(read_state(checkpoint).get("kept", False))
    except DamageError:
        return False
    except OSError as error:
        return not isinstance(error, DAMAGE)


def _right_types(state: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether the values of a `state.json` are what they must be, by name; versions before had fewer of them."""
    score = state.get("score")
    groups = state.get("param_groups")
    return {
        "step": _is_count(state.get("step")),
        "score": score is None or (isinstance(score, int | float) and math.isfinite(score)),
        "processes": _is_count(state.get("processes", 1)) and state.get("processes", 1) > 0,
        "param_groups": isinstance(groups, dict) and all(_is_list_of_dicts(value) for value in groups.values()),
        "kept": isinstance(state.get("kept", False), bool),
        "digests": isinstance(state.get("digests", {}), dict),
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of_dicts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _score(checkpoint: Path) -> float | None:
    try:
        score: float | None = read_state(checkpoint).get("score")  # absent where there was no validation
    except (DamageError, OSError) as error:
        if checkpoint not in _said:
            _said.add(checkpoint)
            print(f"{error}: 1 checkpoint does not count when the best is looked for", file=sys.stderr)
        return None
    return score
