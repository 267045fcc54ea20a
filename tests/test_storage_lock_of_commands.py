"""One writer to a folder, in every command that writes one, and no folder where a start failed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from holder import held_by_another
from memory_lists import make_list, make_options
from tiny import make_gpt, make_palette, make_store

from data.errors import MediaError, StimulusError, TokenStoreError
from data.options import PlayroomOptions, StimuliOptions, SubsetOptions
from data.playroom.make import make_playroom
from data.stimuli.layouts import make_stimuli
from data.subset import make_subset
from experiments.demo import run_demo
from experiments.diversity.options import StudyOptions
from experiments.diversity.study import run_study
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions
from experiments.options import DemoOptions
from gpt.config import MismatchError
from storage.lock import FolderLock, FolderLockError

Command = Callable[[Path, Path], object]
"""Writes into the second folder; the first is for what it reads."""


def subset(folder: Path, out: Path) -> object:
    return make_subset(SubsetOptions(make_store(folder / "store"), out, 3))


def playroom(folder: Path, out: Path) -> object:
    return make_playroom(PlayroomOptions(out, clips=1, size=16, frames=1))


def memory(folder: Path, out: Path) -> object:
    return run_memory(make_options(make_list(folder / "list"), out))


def study(folder: Path, out: Path) -> object:
    return run_study(StudyOptions.of(out=out))


def demo(folder: Path, out: Path) -> object:
    return run_demo(DemoOptions(out))


@pytest.mark.parametrize("command", [subset, playroom, memory, study, demo])
def test_two_do_not_write_into_one_folder(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held_by_another(out), pytest.raises(FolderLockError):
        command(tmp_path, out)
    assert not out.exists()


def memory_of_another_gpt(folder: Path, out: Path) -> object:
    make_gpt().save_pretrained(folder / "gpt")
    make_palette(8, 4).save_pretrained(folder / "palette")
    listed = make_list(folder / "list")
    return run_memory(MemoryOptions.of(stimuli=listed, out=out, gpt=folder / "gpt", tokenizer=folder / "palette"))


def subset_of_too_many(folder: Path, out: Path) -> object:
    return make_subset(SubsetOptions(make_store(folder / "store"), out, 300))


def demo_of_nothing(folder: Path, out: Path) -> object:
    return run_demo(DemoOptions(out, videos=folder / "mistyped"))


def study_of_nothing(folder: Path, out: Path) -> object:
    return run_study(StudyOptions.of(out=out, videos=folder / "mistyped"))


def stimuli_of_nothing(folder: Path, out: Path) -> object:
    return make_stimuli(StimuliOptions("brady", (folder / "mistyped",), out))


def memory_of_nothing(folder: Path, out: Path) -> object:
    return run_memory(make_options(folder / "mistyped", out))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (subset_of_too_many, TokenStoreError),
        (demo_of_nothing, MediaError),
        (stimuli_of_nothing, StimulusError),
        (memory_of_nothing, StimulusError),
    ],
)
def test_a_start_that_fails_leaves_nothing_behind(command: Command, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        command(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("command", "error"), [(study_of_nothing, MediaError), (memory_of_another_gpt, MismatchError)])
def test_a_start_that_fails_leaves_no_run_behind(command: Command, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        command(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()


def test_what_was_written_stays(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "out"):
        (tmp_path / "out" / "file").write_text("written")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        pass
    assert tmp_path.exists()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"clips": "3"}'])
def test_a_damaged_record_of_a_playroom_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "playroom.json").write_text(content)
    with pytest.raises(ValueError, match=r"playroom\.json is damaged .*: choose another --out"):
        make_playroom(PlayroomOptions(tmp_path, clips=1))
