"""Sweeps over kinds of pictures at equal compute."""

from pathlib import Path
from typing import Any

import pytest
from figure_files import drawn_as
from memory_lists import make_list

from experiments.memory.compute import ComputeRow, flops_per_image
from experiments.memory.options import SweepOptions
from experiments.memory.sweep import run_sweep, sweep_cells
from gpt.flops import flops_per_token
from storage.tables import read_rows


def make_sweep(out: Path, stimuli: Path = Path("list"), **others: Any) -> SweepOptions:
    settings = {"stimuli": (stimuli,), "presets": ("demo",), "exposures": 2, "colours": 8}
    return SweepOptions.of(out=out, **(settings | others))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep over two sizes at equal compute."""
    folder = tmp_path_factory.mktemp("sweep")
    stimuli = make_list(folder / "list", items=1, fillers=1)
    with drawn_as():
        return run_sweep(make_sweep(folder / "out", stimuli, sizes=(2, 4), equal_compute=True, exposures=1))


def test_sizes_and_palettes_are_combinations() -> None:
    cells = sweep_cells(make_sweep(Path("out"), sizes=(8, 16), palettes=(4, 64)))
    names = [cell.out.name.removeprefix("list_demo_rate-0.0003_batch-2_") for cell in cells]
    assert names == ["8px_4-colours", "8px_64-colours", "16px_4-colours", "16px_64-colours"]
    assert [(cell.material.size, cell.material.colours) for cell in cells] == [(8, 4), (8, 64), (16, 4), (16, 64)]
    assert {cell.learning.exposures for cell in cells} == {2}


def test_what_is_not_asked_for_stays_and_changes_no_name() -> None:
    (cell,) = sweep_cells(make_sweep(Path("out"), palettes=(16,)))
    assert (cell.material.size, cell.material.colours) == (8, 16)
    (cell,) = sweep_cells(make_sweep(Path("out")))
    assert cell.out.name == "list_demo_rate-0.0003_batch-2"


def test_the_flops_of_an_image_are_those_of_its_tokens() -> None:
    (cell,) = sweep_cells(make_sweep(Path("out"), sizes=(4,), steps_per_exposure=3))
    config = cell.model.for_tokens((1, 4, 4), 8)
    assert flops_per_image(cell) == 3 * 16 * flops_per_token(config)


def test_all_cells_study_for_as_many_flops() -> None:
    cells = sweep_cells(make_sweep(Path("out"), sizes=(4, 8, 16), palettes=(8, 64), equal_compute=True, exposures=5))
    assert [cell.learning.exposures for cell in cells if cell.material.size == 16] == [5, 5]
    total = [cell.learning.exposures * flops_per_image(cell) for cell in cells]
    assert max(total) / min(total) < 1.1
    assert cells[0].learning.exposures > 5 * 16  # attention makes long sequences dearer than their length


def test_the_table_tells_what_study_took(sweep: Path) -> None:
    rows = read_rows(sweep / "compute.csv", ComputeRow)
    last = {row.size: max(of.flops for of in rows if of.size == row.size) for row in rows}
    assert last[2] == pytest.approx(last[4], rel=0.2)
    for row in rows:
        assert row.tokens == row.size**2
        (cell,) = (cell for cell in sweep_cells(make_sweep(sweep, sizes=(row.size,))))
        assert row.flops == row.exposure * 3 * flops_per_image(cell)
    assert {row.condition for row in rows} == {"novel", "state"}
    assert {row.accuracy for row in rows if row.exposure == 0} == {0.5}


def test_there_is_a_plot(sweep: Path) -> None:
    for suffix in ("png", "pdf", "svg"):
        assert (sweep / f"compute.{suffix}").stat().st_size > 1000


def test_a_sweep_that_is_finished_goes_on_with_other_sizes(sweep: Path) -> None:
    stimuli = sweep.parent / "list"
    run_sweep(make_sweep(sweep, stimuli, sizes=(2, 4), equal_compute=True, exposures=1))
    assert {row.size for row in read_rows(sweep / "compute.csv", ComputeRow)} == {2, 4}


@pytest.mark.parametrize(
    "others",
    [
        {"sizes": (8,), "gpts": (Path("gpt"),)},
        {"palettes": (8,), "tokenizer": Path("t")},
        {"equal_compute": True, "noise": 4, "stimuli": ()},
    ],
)
def test_pictures_are_those_of_palettes_of_the_list(others: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="--sizes, --palettes and --equal-compute are for new GPTs and palettes"):
        SweepOptions.of(out=Path("out"), presets=("demo",), **({"stimuli": (Path("list"),)} | others))
