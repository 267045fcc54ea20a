"""The page of a ladder while it runs: what it says at each moment, and when it stops following."""

from __future__ import annotations

import json
import math
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from killed_commands import run_until
from ladders import SMALL, STEP, make_counting_store

from data.tokens import TokenStore
from experiments.scaling.clock import CLOCK, clocked, seconds_of
from experiments.scaling.ladder import make_ladder
from experiments.scaling.live import FIGURE, PAGE, LivePage, write_page
from experiments.scaling.live_page import in_time
from experiments.scaling.live_state import Standing, State, Training, read_standing, seconds_left, trainings_of
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.running import run_scaling
from storage.command import arguments_of
from storage.lock import FolderLock

CELLS = ("width-16_tokens-256_seed-0_flop-4.32538e+07", "width-16_tokens-256_seed-0_flop-8.65075e+07")
TRUNK = "width-16_tokens-256_seed-0"
TRIED: dict[str, Any] = {"learning_rate": ScalingRunOptions.learning_rate, "rate_steps": 8, "grad_clip": 0.0}
FOLLOWS = re.compile(r'<meta http-equiv="refresh" content="\d+">')


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_counting_store(tmp_path_factory.mktemp("counting") / "store")


def options(store: Path, out: Path, **others: Any) -> ScalingRunOptions:
    return ScalingRunOptions.of(tokens=store, out=out, **{**SMALL, "unique_tokens": (256,), **others})


def page_of(out: Path) -> str:
    return (out / PAGE).read_text(encoding="utf-8")


def standings_of(asked: ScalingRunOptions) -> list[Standing]:
    return [read_standing(one) for one in trainings_of(asked, make_ladder(asked, TokenStore(asked.tokens)))]


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_scaling(options(store, tmp_path_factory.mktemp("whole") / "run"))


# At the end


def test_at_the_end_the_page_stays_as_it_is(whole: Path) -> None:
    page = page_of(whole)
    assert "2 of 2 cells done; 1 of 1 trunk ended. 100.0 % of all FLOP are spent." in page
    assert "everything has ended, and this page stays as it is" in page
    assert not FOLLOWS.search(page)


def test_it_shows_the_losses_of_all_cells(whole: Path) -> None:
    lines = [(whole / "cells" / cell / "metrics.jsonl").read_text().splitlines()[-1] for cell in CELLS]
    losses = [json.loads(line)["validation_nll"] for line in lines]
    assert f"<td>{TRUNK}</td><td>{losses[0]:.4g}</td><td>{losses[1]:.4g}</td>" in page_of(whole)
    assert '<img src="data:image/png;base64,' in page_of(whole)
    assert (whole / FIGURE).exists()


def test_the_page_loads_nothing(whole: Path) -> None:
    assert re.findall(r'(?:src|href)="(?!data:)', page_of(whole)) == []


def test_the_time_of_every_training_is_kept(whole: Path) -> None:
    runs = [whole / "trunks" / TRUNK, *(whole / "cells" / cell for cell in CELLS)]
    assert all((seconds_of(run) or 0) > 0 for run in runs)


# On the way


def test_where_it_is_is_said_at_the_start(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_scaling(options(store, tmp_path, budgets=(4 * STEP,), warmup=0))
    assert f"page         {tmp_path / PAGE}: open it in a browser" in capsys.readouterr().err


def test_after_a_kill_the_page_still_says_how_far_it_was(store: Path, tmp_path: Path, python: tuple[str, ...]) -> None:
    asked = options(store, tmp_path / "run")
    run_until(python, f"cells/{CELLS[0]}/final/model.safetensors", *arguments_of(asked))
    assert FOLLOWS.search(page_of(asked.out))
    assert "Where that time stands still nothing runs any more: the same command goes on." in page_of(asked.out)
    standings = standings_of(asked)
    assert [one.state for one in standings] == ["done", "stopped", "waiting"]
    write_page(asked, standings, 10, stopped=True)
    assert "0 of 2 cells done, 1 stopped and 1 waiting; 1 of 1 trunk ended" in page_of(asked.out)
    assert "stopped before the end. The same command goes on with what is missing." in page_of(asked.out)
    run_scaling(asked)
    assert "2 of 2 cells done" in page_of(asked.out)


def test_jobs_write_the_page_of_all(store: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path)
    for part, said in (
        (TRUNK, "0 of 2 cells done and 2 waiting; 1 of 1 trunk ended"),
        (CELLS[1], "1 of 2 cells done and 1 waiting; 1 of 1 trunk ended"),
    ):
        run_scaling(asked.changed(part="tokens"))
        run_scaling(asked.changed(part=part))
        assert said in page_of(tmp_path)
        assert FOLLOWS.search(page_of(tmp_path))
        assert "Expected end: 20" in page_of(tmp_path)
    run_scaling(asked.changed(part=CELLS[0]))
    assert not FOLLOWS.search(page_of(tmp_path))


def test_a_training_that_is_under_way_is_told_from_one_that_was_stopped(store: Path, whole: Path) -> None:
    asked = options(store, whole)
    (whole / "cells" / CELLS[1] / "final").rename(whole / "hidden")
    try:
        assert [one.state for one in standings_of(asked)] == ["done", "done", "stopped"]
        with FolderLock(whole / "cells" / CELLS[1]):
            standings = standings_of(asked)
            assert [one.state for one in standings] == ["done", "done", "under way"]
            assert (standings[2].step, standings[2].training.first) == (20, 16)
            write_page(asked, standings, 10, stopped=True)  # another process is at work
            assert FOLLOWS.search(page_of(whole))
            assert "20 of 20" in page_of(whole)
    finally:
        (whole / "hidden").rename(whole / "cells" / CELLS[1] / "final")
        write_page(asked, standings_of(asked), 10, stopped=False)


def test_rates_that_are_tried_and_tasks_are_on_the_page(store: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path, **TRIED, learning_rates=(3e-2, 1e30), tasks=("nll",))
    run_scaling(asked.changed(part="tokens"))
    for rate in asked.learning_rates:
        run_scaling(asked.changed(part=f"width-16_rate-{rate:g}"))
    assert "0 of 2 cells done and 2 waiting; 2 of 2 trials of learning rates ended and 0 of 1 trunk" in page_of(
        tmp_path
    )
    assert "Expected end: 20" in page_of(tmp_path), "trials tell how fast a size is"
    assert re.search("<td>width-16</td><td>[0-9.]+</td><td>diverged</td><td>0.03</td>", page_of(tmp_path))
    for part in (TRUNK, *CELLS):
        run_scaling(asked.changed(part=part))
    assert "2 of 2 cells done" in page_of(tmp_path)
    assert "0 of 2 measurements made." in page_of(tmp_path)
    assert FOLLOWS.search(page_of(tmp_path)), "tasks are still to be measured"
    run_scaling(asked)
    assert "2 of 2 measurements made." in page_of(tmp_path)
    assert not FOLLOWS.search(page_of(tmp_path))


def test_measurements_of_cells_that_diverged_are_not_waited_for(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, **TRIED, learning_rates=(1e29, 1e30), tasks=("nll",)))
    assert "0 of 2 measurements made; 2 are of cells that diverged, and are not made." in page_of(tmp_path)
    assert f"<td>{CELLS[0]}</td><td>diverged at every rate tried</td>" in page_of(tmp_path)
    assert not FOLLOWS.search(page_of(tmp_path))


def test_what_diverged_is_listed_and_drawn(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, learning_rate=1e30, grad_clip=0))
    assert "0 of 2 cells done and 2 diverged" in page_of(tmp_path)
    assert f"<td>{CELLS[0]}</td><td>loss not finite</td>" in page_of(tmp_path)
    assert (tmp_path / FIGURE).exists()


def test_a_failure_ends_the_page(store: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "cells" / CELLS[0]
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(ValueError, match="1 training failed"):
        run_scaling(options(store, tmp_path))
    assert "1 of 2 cells done and 1 waiting" in page_of(tmp_path)
    assert not FOLLOWS.search(page_of(tmp_path))


def test_a_page_that_cannot_be_written_ends_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / PAGE).mkdir()
    run_scaling(options(store, tmp_path, budgets=(4 * STEP,), warmup=0))
    assert (tmp_path / "runs.csv").exists()
    assert capsys.readouterr().err.count(f"{tmp_path / PAGE} cannot be written") == 1


def test_no_figure_is_drawn_before_there_is_time_for_it(store: Path, whole: Path) -> None:
    asked = options(store, whole)
    (whole / FIGURE).unlink()
    with LivePage(asked, make_ladder(asked, TokenStore(store))) as page:
        page.refresh()
        assert not (whole / FIGURE).exists()
    assert (whole / FIGURE).exists()
    assert threading.active_count() < 20


def test_metrics_that_are_half_written_are_read_as_far_as_they_go(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    (run / "metrics.jsonl").write_text('{"step": 19, "loss": 3.5}\n{"step": 20, "validation_nll": 3}\n{"step": 39, "lo')
    found = read_standing(Training("a", run, "small", 10, 60, 1.0))
    assert (found.step, found.loss, found.state, found.flop) == (21, 3.5, "stopped", 11)


# Time


def make_standing(size: str, state: State, step: int, seconds: float | None) -> Standing:
    """A trunk of 100 steps of 10 FLOP."""
    return Standing(Training("a", Path("a"), size, 0, 100, 10.0), state, step, None, None, seconds)


def test_every_size_goes_on_at_its_own_speed() -> None:
    small = make_standing("small", "done", 100, 50.0)
    large = make_standing("large", "done", 100, 200.0)
    todo = [make_standing(size, "waiting", 0, None) for size in ("small", "large")]
    assert seconds_left([small, large, *todo]) == pytest.approx(50 + 200)


def test_a_size_that_was_never_tried_goes_on_at_the_speed_of_all() -> None:
    small = make_standing("small", "done", 100, 50.0)
    assert seconds_left([small, make_standing("large", "waiting", 0, None)]) == pytest.approx(50)


def test_what_goes_on_side_by_side_ends_sooner() -> None:
    under_way = [make_standing("small", "under way", 50, 25.0) for _ in range(2)]
    assert seconds_left(under_way) == pytest.approx(25)


def test_without_a_speed_no_end_is_told() -> None:
    assert seconds_left([make_standing("small", "waiting", 0, None)]) is None
    assert seconds_left([make_standing("small", "done", 100, None)]) == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3000, "50 min"),
        (5400, "1 h 30 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 days 4 h"),
    ],
)
def test_durations_in_words(seconds: float, said: str) -> None:
    assert in_time(seconds) == said


def test_the_time_of_attempts_adds_up(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / CLOCK).write_text('{"seconds": 100}')
    with clocked(tmp_path):
        pass
    assert math.floor(seconds_of(tmp_path) or 0) >= 100


def test_a_run_that_did_not_begin_has_no_clock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), clocked(tmp_path / "run"):
        raise ValueError("no")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"seconds": "many"}', "\x00"])
def test_a_damaged_clock_tells_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / CLOCK).write_text(content)
    assert seconds_of(tmp_path) is None
