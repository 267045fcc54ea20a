"""One run: interrupted and continued, with a second list, with a store, and what it leaves behind."""

import math
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from memory_lists import make_list, make_options
from tiny import SHORT, make_tokenizer

from experiments.memory.learner import Learner
from experiments.memory.material import encode_lists, read_lists
from experiments.memory.options import MemoryOptions
from experiments.memory.run import MemoryRun
from experiments.statistics.trials import TrialRow, read_trials, write_trials
from storage.run_folder import RunFolderError


@dataclass(frozen=True)
class Interrupted(MemoryRun):
    """A run to which something happens in its fourth pass."""

    happens: Callable[[], None] = lambda: None

    def present(self, learner: Learner, number: int) -> None:
        super().present(learner, number)
        if number == 4:
            self.happens()


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list", items=2)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("other") / "other", items=1, seed=1)


def carry_out(options: MemoryOptions, kind: type[MemoryRun] = MemoryRun, **others: Any) -> MemoryRun:
    lists = read_lists(options)
    run = kind(options.out, encode_lists(lists, options), lists.first, "as_given", 0, options, **others)
    run.carry_out()
    return run


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("happens", "left_by", "saved"), [(press_ctrl_c, KeyboardInterrupt, "000002"), (ask_to_end, SystemExit, "000004")]
)
def test_a_resumed_run_ends_with_the_same_bits(
    stimuli: Path, other: Path, tmp_path: Path, happens: Callable[[], None], left_by: type[BaseException], saved: str
) -> None:
    how = {"exposures": 3, "then": other, "then_exposures": 3, "replay": 2, "save_every": 2, "seed": 3}
    carry_out(make_options(stimuli, tmp_path / "whole", **how))
    options = make_options(stimuli, tmp_path / "stopped", **how)
    with pytest.raises(left_by):
        carry_out(options, Interrupted, happens=happens)
    assert [path.name for path in (tmp_path / "stopped" / "state" / "checkpoints").iterdir()] == [saved]
    assert not (tmp_path / "stopped" / "trials.csv").exists()
    # The rows on disk may be ahead of the learner, which is written last.
    rows = read_trials(tmp_path / "whole" / "trials.csv")
    write_trials(tmp_path / "stopped" / "state" / "trials.csv", [row for row in rows if row.interference != 3])
    carry_out(options)
    for name in ("trials.csv", "maps.npz"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "stopped" / "state").exists()


def test_a_resumed_run_in_bf16_ends_with_the_same_bits(stimuli: Path, tmp_path: Path) -> None:
    how = {"exposures": 5, "layers": 1, "heads": 1, "width": 16, "precision": "bf16!"}
    carry_out(make_options(stimuli, tmp_path / "whole", **how))
    options = make_options(stimuli, tmp_path / "stopped", **how)
    with pytest.raises(SystemExit):
        carry_out(options, Interrupted, happens=ask_to_end)
    carry_out(options)
    for name in ("trials.csv", "maps.npz"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_after_the_exposures_another_list_is_studied_and_the_first_tested(
    stimuli: Path, other: Path, tmp_path: Path
) -> None:
    run = carry_out(make_options(stimuli, tmp_path, exposures=2, then=other, then_exposures=3))
    rows = read_trials(tmp_path / "trials.csv")
    assert {row.moment for row in rows} == {(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3)}
    assert {row.list for row in rows} == {"list"}
    assert len(run.items) == 6 + 4
    one = {row.interference: row.nll_studied for row in rows if row.item == "novel/novel_0.png"}
    assert len(set(one.values())) == 4


def test_maps_hold_the_scores_before_study_and_after_the_last_exposure(
    stimuli: Path, other: Path, tmp_path: Path
) -> None:
    carry_out(make_options(stimuli, tmp_path, exposures=2, then=other, then_exposures=1))
    rows = [row for row in read_trials(tmp_path / "trials.csv") if row.interference == 0]
    with np.load(tmp_path / "maps.npz") as maps:
        assert tuple(maps["grid"]) == (1, 4, 4)
        for name, exposure in (("before", 0), ("after", 2)):
            assert maps[name].dtype == np.float16
            scores = {row.studied: row.nll_studied for row in rows if row.exposure == exposure}
            means = dict(zip(maps["paths"], maps[name].astype(np.float32).mean(axis=1), strict=True))
            assert all(means[path] == pytest.approx(score, abs=2e-3) for path, score in scores.items())


def test_a_store_is_scored_beside_the_weights(stimuli: Path, tmp_path: Path) -> None:
    run = carry_out(make_options(stimuli, tmp_path, exposures=1, store_layer=2, learning_rate=0.0))
    rows = read_trials(run.folder / "trials.csv")
    assert {row.readout for row in rows} == {"weights", "weights+store", "familiarity"}
    assert share(rows, "familiarity", 0) == 0.5
    assert share(rows, "weights", 0) == share(rows, "weights+store", 0) == share(rows, "weights", 1)
    assert share(rows, "familiarity", 1) == share(rows, "weights+store", 1) == 1.0


def test_a_familiarity_is_no_likelihood_and_has_no_bits(stimuli: Path, tmp_path: Path) -> None:
    run = carry_out(make_options(stimuli, tmp_path, exposures=1, store_layer=2))
    rows = read_trials(run.folder / "trials.csv")
    assert {row.bits_per_pixel_studied for row in rows if row.readout == "familiarity"} == {None}
    for row in rows:
        if row.readout == "weights+store":
            assert row.bits_per_pixel_foil == pytest.approx(row.nll_foil / math.log(2))


def test_bits_are_per_pixel_of_the_image_that_a_tokenizer_of_clips_encodes(stimuli: Path, tmp_path: Path) -> None:
    """4x4 tokens stand for one image of 16 pixels a side, not for the four frames of a latent frame."""
    make_tokenizer(SHORT).save_pretrained(tmp_path / "tokenizer")
    run = carry_out(make_options(stimuli, tmp_path / "run", exposures=1, tokenizer=tmp_path / "tokenizer"))
    for row in read_trials(run.folder / "trials.csv"):
        assert row.bits_per_pixel_studied == pytest.approx(row.nll_studied / math.log(2) * 16 / 256)


def share(rows: list[TrialRow], readout: str, exposure: int) -> float:
    return fmean(row.correct for row in rows if (row.readout, row.exposure) == (readout, exposure))


def test_a_learner_that_diverges_stops_the_run(stimuli: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"after \d exposures the learner's scores are not finite"):
        carry_out(make_options(stimuli, tmp_path, learning_rate=1e30, optimizer="sgd", exposures=3))


HOW: dict[str, Any] = {"exposures": 3, "then_exposures": 3, "save_every": 2, "seed": 3, "recall": 2}


@pytest.fixture(scope="module")
def whole(stimuli: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    return carry_out(make_options(stimuli, tmp_path_factory.mktemp("whole"), then=other, **HOW)).folder


@pytest.fixture
def stopped(stimuli: Path, other: Path, tmp_path: Path) -> MemoryOptions:
    """The same run, stopped after its fourth pass, which is after the last exposure."""
    options = make_options(stimuli, tmp_path / "stopped", then=other, **HOW)
    with pytest.raises(SystemExit):
        carry_out(options, Interrupted, happens=ask_to_end)
    return options


def flip(path: Path) -> None:
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def double_a_row(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[2], *lines[3:]]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = [
    ("state/trials.csv", flip),
    ("state/trials.csv", double_a_row),
    ("state/trials.csv", cut),
    ("state/trials.csv", become_a_folder),
    ("state/trials.csv", Path.unlink),
    ("state/before.npy", flip),
    ("state/record.json", flip),
    ("state/record.json", cut),
    ("maps.npz", flip),
    ("maps.npz", Path.unlink),
    ("recall.csv", flip),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_state_is_noticed_and_the_run_begins_anew(
    name: str, damage: Callable[[Path], None], stopped: MemoryOptions, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(stopped.out / name)
    carry_out(stopped)
    assert "cannot be continued (" in capsys.readouterr().err
    assert_same(stopped.out, whole)


def assert_same(run: Path, whole: Path) -> None:
    for name in ("trials.csv", "maps.npz", "recall.csv", "finished.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (run / "state").exists()


def test_a_sound_state_is_continued(stopped: MemoryOptions, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(stopped)
    assert "cannot be continued" not in capsys.readouterr().err
    assert_same(stopped.out, whole)


@pytest.mark.parametrize("what", ["state", "state/checkpoints"])
def test_a_state_of_another_run_is_not_continued(
    what: str,
    stimuli: Path,
    other: Path,
    stopped: MemoryOptions,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = make_options(stimuli, tmp_path / "other", then=other, **{**HOW, "learning_rate": 1e-4})
    with pytest.raises(SystemExit):
        carry_out(others, Interrupted, happens=ask_to_end)
    shutil.rmtree(stopped.out / what)
    shutil.copytree(others.out / what, stopped.out / what)
    carry_out(stopped)
    assert "cannot be continued (" in capsys.readouterr().err
    assert_same(stopped.out, whole)


def test_a_state_of_an_earlier_version_is_continued(
    stopped: MemoryOptions, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stopped.out / "state" / "record.json").unlink()
    carry_out(stopped)
    assert "cannot be continued" not in capsys.readouterr().err
    assert_same(stopped.out, whole)


def test_rows_that_are_ahead_of_the_learner_are_taken_again(stopped: MemoryOptions, whole: Path) -> None:
    """As a kill leaves them between writing rows and record of the next pass, and saving the learner."""
    rows = read_trials(whole / "trials.csv")
    write_trials(stopped.out / "state" / "trials.csv", [row for row in rows if row.interference < 3])
    carry_out(stopped)
    assert_same(stopped.out, whole)


@pytest.mark.parametrize("name", ["trials.csv", "maps.npz", "recall.csv", "finished.json"])
def test_a_finished_run_that_was_edited_is_refused(
    name: str, stimuli: Path, other: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    run = finished_run(make_options(stimuli, tmp_path / "run", then=other, **HOW))
    assert run.is_finished()
    flip(tmp_path / "run" / name)
    with pytest.raises(RunFolderError, match=r"finished run in .* cannot be used: .*; remove that folder and continue"):
        run.is_finished()


def test_a_finished_run_of_other_options_is_refused(stimuli: Path, other: Path, whole: Path) -> None:
    options = make_options(stimuli, whole, then=other, **{**HOW, "learning_rate": 1e-4})
    with pytest.raises(RunFolderError, match=r"finished\.json is that of another run"):
        finished_run(options).is_finished()


def finished_run(options: MemoryOptions) -> MemoryRun:
    lists = read_lists(options)
    return MemoryRun(options.out, encode_lists(lists, options), lists.first, "as_given", 0, options)
