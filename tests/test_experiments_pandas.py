"""Tables of reports, as other programs read them."""

import keyword
import re
from pathlib import Path

import pandas as pd
import pytest
from diversity_tables import make_study
from memory_runs import make_run, make_trials

from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory

CONDITIONS = ("novel", "state")
R_RESERVED = {"if", "else", "repeat", "while", "function", "for", "next", "break", "in", "NULL", "NA", "NaN", "Inf"}
R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two models, each of two seeds."""
    folder = tmp_path_factory.mktemp("memory")
    trials = make_trials(items=3, exposures=2, conditions=CONDITIONS, seeds=(0, 1))
    runs = [make_run(folder / f"run{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return report_memory(ReportOptions(tuple(runs), folder / "out"))


@pytest.fixture(scope="module")
def diversity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diversity")
    return report_diversity(DiversityReportOptions(tuple(make_study(folder / "runs", items=3)), folder / "out"))


def test_trials_group_by_model_condition_and_exposure(memory: Path) -> None:
    trials = pd.read_csv(memory / "trials.csv")
    groups = trials.groupby(["model", "condition", "exposure"])["correct"].agg(["mean", "size"])
    assert len(groups) == 2 * len(CONDITIONS) * 3
    assert set(groups["size"]) == {3 * 2 * 2}
    assert groups["size"].sum() == len(trials)
    accuracy = pd.read_csv(memory / "accuracy.csv")
    pooled = accuracy[accuracy["version"] == "pooled"].set_index(["model", "condition", "exposure"])["accuracy"]
    pd.testing.assert_series_equal(groups["mean"], pooled.sort_index(), check_names=False)


def test_items_group_by_model_condition_and_exposure(memory: Path) -> None:
    items = pd.read_csv(memory / "items.csv")
    groups = items.groupby(["model", "condition", "exposure"])["accuracy"].agg(["mean", "size"])
    assert len(groups) == 2 * len(CONDITIONS)
    assert groups["size"].sum() == len(items)


def test_columns_of_trials_have_the_types_that_they_should(memory: Path) -> None:
    trials = pd.read_csv(memory / "trials.csv")
    for name in ("seed", "exposure", "interference"):
        assert pd.api.types.is_integer_dtype(trials[name])
    for name in ("nll_studied", "nll_foil", "correct"):
        assert pd.api.types.is_float_dtype(trials[name])


def test_items_of_continuations_group_by_model_and_group(diversity: Path) -> None:
    items = pd.read_csv(diversity / "items.csv")
    groups = (
        items[items["continuation"] == "model"].groupby(["model", "group", "encoding", "given"])["retrieved"].mean()
    )
    assert len(groups) == 5 * 2 * 2 * 3
    assert groups.between(0, 1).all()


@pytest.mark.parametrize("report", ["memory", "diversity"])
def test_every_table_is_plain_text_with_names_that_r_and_python_take(
    report: str, request: pytest.FixtureRequest
) -> None:
    for path in request.getfixturevalue(report).glob("*.csv"):
        content = path.read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf")
        names = content.decode("utf-8").splitlines()[0].split(",")
        assert len(set(names)) == len(names)
        assert [name for name in names if not R_NAME.fullmatch(name) or name in R_RESERVED] == []
        assert [name for name in names if keyword.iskeyword(name)] == []
