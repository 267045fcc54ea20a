"""What trainings began with: the paths that a run was given are those of the folder in which its command ran.

They are looked for from here first, and then from that folder, which the run's own place tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data.errors import MediaError
from data.inputs import check_data
from gpt.options import TrainOptions as GPTOptions
from storage.run_folder import read_options
from viewing.look.options import is_store
from vqgan.options import TrainOptions as TokenizerOptions


def read_tokenizer_options(run: Path) -> TokenizerOptions:
    """Return the options of a run of `vqgan train`, its data and its table of tags where they lie now, if there.

    Raises:
        RunFolderError: the folder holds no such run.
    """
    options = read_options(run, TokenizerOptions)
    data = next(filter(_is_data, places_of(run, options.out, options.data)), options.data)
    table = options.exclusion.exclude
    if table is not None:
        table = next(filter(Path.is_file, places_of(run, options.out, table)), table)
    return options.changed(data=data, exclude=table)


def find_tokens(run: Path) -> Path:
    """Return the token store of a run of `gpt train`, where it lies now, if it is there.

    Raises:
        RunFolderError: the folder holds no such run.
    """
    options = read_options(run, GPTOptions)
    return next(filter(is_store, places_of(run, options.out, options.tokens)), options.tokens)


def places_of(run: Path, out: Path, path: Path) -> Iterator[Path]:
    """Yield where a path may lie that a run was given: seen from here, and from the folder in which the run began.

    Args:
        run: its folder, as it is reached from here.
        out: the same, as the run was given it.
        path: as the run was given it.
    """
    yield path
    here = run.resolve()
    if not out.is_absolute():
        yield from (folder / path for folder in here.parents if folder / out == here)


def _is_data(path: Path) -> bool:
    try:
        check_data(path)
    except MediaError:
        return False
    return True
