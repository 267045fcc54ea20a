"""What the split keeps together: the same in every command that uses a tokenizer as in its training."""

from __future__ import annotations

from pathlib import Path

from data.items import prepared_options
from storage.model_paths import is_named
from storage.run_folder import RunFolderError, read_options
from vqgan.options import TrainOptions


def group_by_of(tokenizer: Path, asked: str | None, data: Path) -> str | None:
    """Return the `--group-by` that a command is to use.

    Args:
        tokenizer: as the command was given it: a run folder, or a model folder in one.
        asked: the `--group-by` of the command, None if it was not given; empty for none at all.
        data: what the command reads.

    Returns:
        `asked`, or else what the tokenizer's run was asked, if it is the folder of a run.

    Raises:
        ValueError: the tokenizer was trained on the same data with another one, so that what it learned from would be
            held out here.
    """
    trained = _training_options(tokenizer)
    if trained is None:
        return asked
    before = trained.group_by if trained.group_by is not None else prepared_options(trained.data).group_by
    if asked is None:
        return before
    if (before or "") != asked and _is_same_data(trained.data, data):
        raise ValueError(
            f"--group-by {asked!r} is another split than that of {tokenizer}, which was trained on the same data with"
            f" --group-by {before or ''!r}: leave the option out to use that one"
        )
    return asked


def describe_groups(group_by: str | None) -> dict[str, str]:
    """Return what to say of the groups at the start of a command; nothing where each file is on its own."""
    return {"kept together": f"by {group_by!r}"} if group_by else {}


def _training_options(tokenizer: Path) -> TrainOptions | None:
    if is_named(tokenizer):
        return None  # whatever run the command may be given in is another
    for folder in (tokenizer, *tokenizer.absolute().parents[:2]):
        try:
            return read_options(folder, TrainOptions)
        except RunFolderError:
            continue
    return None


def _is_same_data(first: Path, second: Path) -> bool:
    """Whether they are the same, or one holds the other, or shards were prepared of it."""
    one, other = (prepared_options(path).path.resolve() for path in (first, second))
    return one.is_relative_to(other) or other.is_relative_to(one)
