"""Several diversity runs merged into tables, plots and one page."""

import csv
import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from diversity_tables import PLAIN, Simulated, make_run, make_study
from figure_files import drawn_as

from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity

SETTINGS = (PLAIN, (0.8, 0, 1.0, 0.0))


def report_of(folder: Path, *runs: Simulated) -> Path:
    """The report of these runs."""
    folders = tuple(make_run(folder / "runs", run) for run in runs)
    return report_diversity(DiversityReportOptions(folders, folder / "report"))


def small(**changes: Any) -> Simulated:
    """A run that is quickly reported."""
    return Simulated(**{"items": 3, "given": (2,), "encodings": ("alone",), **changes})


@pytest.fixture(scope="module")
def printed() -> io.StringIO:
    """What the report of the whole study prints."""
    return io.StringIO()


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    """What it says beside."""
    return io.StringIO()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, printed: io.StringIO, said: io.StringIO) -> Path:
    """The report of a whole study."""
    folder = tmp_path_factory.mktemp("study")
    runs = tuple(make_study(folder, settings=SETTINGS, items=6))
    with redirect_stdout(printed), redirect_stderr(said), drawn_as():
        return report_diversity(DiversityReportOptions(runs, folder / "report"))


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text()


@pytest.fixture(scope="module")
def least_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page on one item of each group, continued once, without networks to measure distances."""
    least = {"items": 1, "n": 1, "distances": ()}
    folder = tmp_path_factory.mktemp("least")
    return (report_of(folder, small(**least), small(kind="image", model="image", **least)) / "report.html").read_text()


@pytest.fixture(scope="module")
def images_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page on images alone, in one encoding, of a model whose exposures are not known."""
    return (
        report_of(tmp_path_factory.mktemp("images"), small(kind="image", exposures=None)) / "report.html"
    ).read_text()


def test_report_writes_its_tables_and_plots(report: Path) -> None:
    tables = "runs items best positions audit redundancy images metrics claims sizes"
    plots = "distances entropy context conjecture training redundancy audit settings"
    drawn = {f"{name}.{ending}" for name in plots.split() for ending in ("png", "pdf", "svg")}
    written = {f"{name}.csv" for name in tables.split()} | {"codebook.csv"}
    assert {path.name for path in report.iterdir()} == written | drawn | {"report.html", "methods.txt"}


@pytest.mark.parametrize(
    "title",
    [
        "What holds",
        "Models",
        "How varied, how near",
        "Where it is uncertain",
        "How much context it takes",
        "Does knowing more take more context?",
        "Prompts that contain the future",
        "How redundant the rest is",
        "Copies of training items",
        "Sampling settings",
        "The best of several",
        "Behind the metrics: studied clips",
        "Behind the metrics: new images",
        "All metrics: images",
        "All metrics: clips",
    ],
)
def test_page_has_a_section(page: str, title: str) -> None:
    assert f"<h2>{title}</h2>" in page


def test_merged_tables_hold_all_rows(report: Path) -> None:
    with (report / "items.csv").open(newline="") as file:
        models = [row["model"] for row in csv.DictReader(file)]
    conditions = 2 * 2 * 3 * (len(SETTINGS) + 4)
    assert {model: models.count(model) for model in set(models)} == dict.fromkeys(
        ("image-16", "image-64", "clip-16", "clip-64", "clip-64-early"), 6 * conditions
    )


def test_page_answers_the_question(page: str) -> None:
    assert "close to the truth? " in page
    assert "Continuations of clips differ from one another at most half as much as those of images" in page


def test_page_says_what_is_not_matched(page: str) -> None:
    assert "tokens per item (16 and 64), generated tokens (8 and 32)" in page


def test_images_say_why_they_are_shown(page: str) -> None:
    assert "<figcaption>Most varied: video0.mp4 from 0 s, prompt encoded alone</figcaption>" in page


def test_images_are_those_of_the_main_models(page: str) -> None:
    assert page.count("<figcaption>Most varied:") == 4


def test_claims_are_printed(report: Path, printed: io.StringIO) -> None:
    assert "holds" in printed.getvalue()


def test_it_is_said_what_was_found_and_where_the_page_is(report: Path, said: io.StringIO) -> None:
    assert "runs         image-16, image-64, clip-16, clip-64, clip-64-early" in said.getvalue()
    assert "clips        clip-64, 50.0 % given" in said.getvalue()
    assert f"{report / 'report.html'} is ready" in said.getvalue()


def test_one_kind_alone_is_reported(images_page: str) -> None:
    assert "Only images were measured: comparisons need both images and clips." in images_page
    assert "There are no images and clips to match." in images_page


def test_one_encoding_has_nothing_to_leak(images_page: str) -> None:
    assert "Prompts were encoded in one way only" in images_page


def test_one_sampling_setting_is_not_compared(images_page: str) -> None:
    assert "Sampling settings" not in images_page


def test_one_continuation_has_no_distance_to_another(least_page: str) -> None:
    assert "? undecided undefined for one continuation" in least_page


def test_one_item_has_no_interval(least_page: str) -> None:
    assert "[" not in re.sub(r"<style>.*</style>|data:[^\"]*", "", least_page, flags=re.DOTALL)


def test_page_says_how_many_groups_intervals_are_over(page: str) -> None:
    assert "<th>studied, alone, 6 groups</th>" in page
    assert re.search(r"✓ holds [^<]*\(6 groups, p = ", page)


def test_bits_stand_beside_one_another_by_token_and_by_pixel(page: str) -> None:
    assert "surprise, bits per pixel" in page


def test_the_best_is_told_by_how_many_it_is_of(page: str) -> None:
    assert "<th>best of 1</th><th>best of 4</th>" in re.sub(r">\s+<", "><", page)


def test_clips_of_one_video_have_no_interval_and_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = report_of(tmp_path, small(items=12, videos=1), small(kind="image", model="image", items=12, videos=1))
    text = re.sub(r"<style>.*</style>|data:[^\"]*", "", (folder / "report.html").read_text(), flags=re.DOTALL)
    assert "[" not in text
    assert "(only 1 group of sources, a verdict takes 6)" in text
    assert "✓ holds" not in text
    said = capsys.readouterr().err
    assert "groups of sources: 1 of studied images" in said
    assert "a verdict takes 6" in said


def test_runs_without_the_tables_of_this_version_are_reported(tmp_path: Path) -> None:
    folder = make_run(tmp_path, small(items=6))
    (folder / "best.csv").unlink()
    _leave_out(folder / "items.csv", "source_group", "generated_pixels")
    _leave_out(folder / "audit.csv", "source_group")
    out = report_diversity(DiversityReportOptions((folder,), tmp_path / "report"))
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["groups"] for row in rows} == {"6"}
    assert "best_pixel_of_4" in {row["metric"] for row in rows}
    assert not {"best_pixel", "best_pixel_of_2", "truth_bits_per_pixel"} & {row["metric"] for row in rows}


def _leave_out(path: Path, *columns: str) -> None:
    """Write a table again without some columns."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [name for name in rows[0] if name not in columns]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
