"""The report of a physics run from end to end, with tiny models and films."""

import io
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from figure_files import drawn_as
from physics_films import make_set
from physics_runs import CONTROLS, SimulatedModel, guesses, knows, make_run
from PIL import Image
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer

from experiments.codebook import Column
from experiments.pages import write_report
from experiments.physics.experiment import run_physics
from experiments.physics.options import PhysicsReportOptions, PhysicsRunOptions
from experiments.physics.people import PeopleRow
from experiments.physics.reporting import plots
from experiments.physics.reporting.accuracy import AccuracyRow, people_accuracies
from experiments.physics.reporting.claims import ConceptClaim
from experiments.physics.reporting.curves import AccuracyCurveRow
from experiments.physics.reporting.drawing import DrawnFilm, draw_strip, draw_video, top_of
from experiments.physics.reporting.extremes import ExtremeRow, Extremes, choose, draw_extremes
from experiments.physics.reporting.outcomes import chosen_readout, values_of
from experiments.physics.reporting.plots import draw_accuracy, draw_timecourse
from experiments.physics.reporting.report import TABLES, report_physics
from experiments.physics.reporting.runs import merge_runs
from experiments.physics.reporting.sections import extreme_section, people_section
from experiments.physics.reporting.timecourse import TimecourseRow
from experiments.physics.tables import FilmRow
from storage.tables import read_rows

SCENES = 4


def size_of(image: Path) -> tuple[int, int]:
    """Its width and height."""
    with Image.open(image) as opened:
        return opened.size


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two checkpoints."""
    folder = tmp_path_factory.mktemp("physics")
    make_set(folder / "films", scenes=SCENES)
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(folder / "tokenizer")
    config = replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)
    gpts = tuple(folder / "gpt" / "checkpoints" / name for name in ("000001", "000002"))
    for seed, gpt in enumerate(gpts):
        make_gpt(config, seed).save_pretrained(gpt)
    given = {"films": folder / "films", "tokenizer": folder / "tokenizer", "gpt": gpts, "out": folder / "run"}
    return run_physics(PhysicsRunOptions.of(**given, least_kept=0.0))


@pytest.fixture(scope="module")
def printed() -> io.StringIO:
    """What the report prints."""
    return io.StringIO()


@pytest.fixture(scope="module")
def report(run: Path, printed: io.StringIO) -> Path:
    with redirect_stdout(printed), drawn_as():
        return report_physics(PhysicsReportOptions((run,), run.parent / "report"))


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text()


@pytest.fixture(scope="module")
def extremes(report: Path) -> list[ExtremeRow]:
    return read_rows(report / "extremes.csv", ExtremeRow)


def test_it_writes_its_tables_and_plots(report: Path, extremes: list[ExtremeRow]) -> None:
    plots = {
        f"{name}.{ending}"
        for name in ("accuracy", "measures", "curve_step_quadruple", "timecourse_all", "timecourse_object")
        for ending in ("png", "pdf", "svg")
    }
    assert {path.name for path in report.iterdir()} == {
        *TABLES,
        *plots,
        "codebook.csv",
        "methods.txt",
        "report.html",
        "extremes",
    }
    drawn = [row.video.removesuffix(".mp4") + ending for row in extremes for ending in (".mp4", ".png", "_strip.png")]
    assert sorted(str(path.relative_to(report)) for path in report.glob("extremes/*")) == sorted(drawn)


@pytest.mark.parametrize(
    "title",
    [
        "What it knows",
        "By other measures",
        "Surprise over time",
        "The clearest and the worst",
        "Models and controls",
        "What was left out",
        "Methods",
    ],
)
def test_the_page_has_a_section(page: str, title: str) -> None:
    assert f"<h2>{title}</h2>" in page


def test_the_page_needs_no_network(page: str) -> None:
    assert not re.findall(r"(?:src|href|poster)=\"(?!data:)", page)


def test_films_wait_with_an_image_until_they_are_played(page: str, extremes: list[ExtremeRow]) -> None:
    videos = re.findall(
        r"<video src=\"data:video/mp4;base64,[^\"]+\" poster=\"data:image/png;base64,[^\"]+\"([^>]*)>", page
    )
    assert len(videos) == len(extremes) > 0
    assert all(" controls " in said and "autoplay" not in said for said in videos)


def test_every_column_is_in_the_codebook(report: Path) -> None:
    described = {(row.table, row.column) for row in read_rows(report / "codebook.csv", Column)}
    for name in TABLES:
        head = (report / name).read_text().splitlines()[0]
        assert {(name, column) for column in head.split(",")} <= described


def test_each_claim_is_printed_as_a_sentence(report: Path, printed: io.StringIO) -> None:
    stated = [row for row in read_rows(report / "claims.csv", ConceptClaim) if row.model == "000002"]
    assert len(printed.getvalue().splitlines()) == len(stated) > 0
    assert "000002: Permanence, hidden (quadruple): " in printed.getvalue()


def test_of_a_causal_tokenizer_nothing_differs_before_the_event(report: Path, page: str) -> None:
    early = [row for row in read_rows(report / "timecourse.csv", TimecourseRow) if row.after_event < 0]
    assert {row.largest for row in early if row.model in ("000001", "000002", "untrained")} == {0.0}
    assert "Here all differences before the event are 0." in page


def test_the_object_has_a_time_course_of_its_own(report: Path) -> None:
    rows = read_rows(report / "timecourse.csv", TimecourseRow)
    at_event = {
        row.tokens: row.mean
        for row in rows
        if (row.model, row.concept, row.visibility, row.after_event) == ("000002", "all", "visible", 0)
    }
    assert set(at_event) == {"all", "object"}
    assert at_event["all"] != at_event["object"]


def test_the_difference_at_the_event_is_that_of_the_films(run: Path, report: Path) -> None:
    films = [row for row in read_rows(run / "films.csv", FilmRow) if (row.model, row.hidden) == ("000002", False)]
    surprise = {row.film: np.load(run / row.arrays)["surprise"][2].mean() for row in films}
    sides = [np.mean([surprise[row.film] for row in films if row.possible == side]) for side in (False, True)]
    (found,) = (
        row.mean
        for row in read_rows(report / "timecourse.csv", TimecourseRow)
        if (row.model, row.concept, row.visibility, row.tokens, row.after_event)
        == ("000002", "all", "visible", "all", 0)
    )
    assert found == pytest.approx(sides[0] - sides[1], abs=1e-6)


def test_videos_show_matched_films_and_their_surprise(report: Path, extremes: list[ExtremeRow]) -> None:
    with av.open(str(report / extremes[0].video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 16
    assert frames[0].shape[1] == 4 * 140
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 100
    assert size_of(report / extremes[0].strip)[0] > 300


def test_extremes_are_the_largest_and_smallest_differences(run: Path, extremes: list[ExtremeRow]) -> None:
    model = merge_runs([run]).last[-1]
    readout = chosen_readout(model, "quadruple")
    assert readout is not None
    values = values_of(model, readout)
    differences: dict[tuple[str, str], float] = {}
    for row in model.films:
        sign = -0.5 if row.possible else 0.5
        key = row.concept, row.quadruple
        differences[key] = differences.get(key, 0.0) + sign * values[row.film]
    for concept in ("permanence", "colour"):
        of_concept = [value for (name, _), value in differences.items() if name == concept]
        drawn = {row.which: row.difference for row in extremes if row.concept == concept}
        assert drawn == pytest.approx({"largest": max(of_concept), "smallest": min(of_concept)})


def test_of_one_quadruple_it_is_drawn_once(tmp_path: Path) -> None:
    (model,) = merge_runs([make_run(tmp_path / "run", SimulatedModel("gpt", knows), scenes=2)]).models
    readout = chosen_readout(model, "quadruple")
    assert readout is not None
    found = choose(model, readout, 3)
    assert {concept: [one.which for one in chosen] for concept, chosen in found.items()} == {
        concept: ["largest"] * 3 + ["smallest"] for concept in ("colour", "permanence")
    }


def moved(run: Path, folder: Path, films: Path) -> Path:
    """A copy of a run that says that its films lie elsewhere."""
    copy = shutil.copytree(run, folder / "run")
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace(str(run.parent / "films"), str(films)))
    return copy


def test_films_that_are_gone_are_left_out_and_said_to_be(run: Path, tmp_path: Path) -> None:
    drawn = draw_extremes(tmp_path / "report", merge_runs([moved(run, tmp_path, Path("gone"))]), 1)
    assert drawn.rows == []
    assert drawn.missing[0].startswith("The films are not drawn, as they are no longer where they were: gone")
    assert not (tmp_path / "report").exists()


def test_other_films_of_the_same_names_are_not_drawn(run: Path, tmp_path: Path) -> None:
    make_set(tmp_path / "films", scenes=SCENES, frames=8)
    drawn = draw_extremes(tmp_path / "report", merge_runs([moved(run, tmp_path, tmp_path / "films")]), 1)
    assert drawn.rows == []
    assert len(drawn.missing) == 4
    assert drawn.missing[0].endswith("is another film than was measured.")


def test_damaged_arrays_are_not_drawn(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    for path in copy.glob("surprise/000002/*.npz"):
        path.write_bytes(b"nothing")
    drawn = draw_extremes(tmp_path / "report", merge_runs([copy]), 1)
    assert drawn.rows == []
    assert "is not drawn: it cannot be read" in drawn.missing[0]


def test_what_is_not_drawn_is_said_on_the_page(tmp_path: Path) -> None:
    section = extreme_section(tmp_path, Extremes(missing=["The films are gone."]))
    assert section.text.endswith("\n\nThe films are gone.")


def test_checkpoints_and_sizes_are_drawn_as_curves(tmp_path: Path) -> None:
    steps = [SimulatedModel(str(step), surprise, row={"step": step}) for step, surprise in ((1, guesses), (20, knows))]
    large = SimulatedModel("large", knows, row={"parameters": 10**6})
    paths = [f"runs/gpt/checkpoints/{model.name}" for model in steps]
    runs = (
        make_run(tmp_path / "a", *steps, *CONTROLS, gpts=paths),
        make_run(tmp_path / "b", large, *CONTROLS),
    )
    out = report_physics(PhysicsReportOptions(runs, tmp_path / "report", extremes=0))
    page = (out / "report.html").read_text()
    for axis, title in (("step", "Accuracy over steps of training"), ("parameters", "Accuracy against size")):
        assert (out / f"curve_{axis}_quadruple.png").exists()
        assert f"<h2>{title}</h2>" in page
    assert {(row.axis, row.x) for row in read_rows(out / "curve.csv", AccuracyCurveRow)} == {
        *{("step", 1.0), ("step", 20.0)},
        *{("parameters", 1e3), ("parameters", 1e6)},
    }
    assert "In what follows the runs differ." in (out / "methods.txt").read_text()


@pytest.mark.parametrize(("concepts", "repeated", "shown"), [(108, 1, 108), (300, 1, 108), (300, 2, 54), (1, 500, 1)])
def test_a_figure_holds_as_many_concepts_as_it_has_room_for(concepts: int, repeated: int, shown: int) -> None:
    names = [str(number) for number in range(concepts)]
    kept, note = plots.fitting_concepts(names, plots.HEIGHT, repeated)
    assert kept == names[:shown]
    assert note == ("" if shown == concepts else f"The first {shown} of 300 concepts; the tables have all.")


def test_a_figure_of_many_concepts_is_no_taller(report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "TALLEST", 2.5)
    first = read_rows(report / "accuracy.csv", AccuracyRow)[0]
    rows = [replace(first, concept=f"concept {number}") for number in range(30)]
    plots.draw_accuracy(tmp_path / "many.png", rows, [first.model], [first.measure])
    plots.draw_accuracy(tmp_path / "few.png", rows[:8], [first.model], [first.measure])
    few, many = (size_of(tmp_path / f"{name}.png") for name in ("few", "many"))
    assert few[1] <= many[1] < 1.15 * few[1]


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    name = "$x_<b>\u202e"
    run = make_run(tmp_path / "run", SimulatedModel(name, knows), *CONTROLS, concepts=("../$<i>", "=1"))
    out = report_physics(PhysicsReportOptions((run,), tmp_path / "report", extremes=0))
    page = (out / "report.html").read_text()
    assert "<b>" not in page
    assert "<i>" not in page


def test_a_report_takes_a_run() -> None:
    with pytest.raises(ValueError, match="name at least one run folder of `secondsight physics run`"):
        PhysicsReportOptions((), Path("out"))


PEOPLE = [
    PeopleRow("set", "colour", "hidden", "quadruple", 0.9, 0.8, 0.95, 10, "confirmed", "A and B 2020"),
    PeopleRow("set", "all", "both", "films judged", 0.8, None, None, None, "digitised", "C 2021"),
]


def test_intervals_over_few_scenes_are_left_out_of_the_plot_over_time(tmp_path: Path) -> None:
    row = TimecourseRow(
        model="gpt", unit="bits", concept="colour", visibility="hidden", tokens="all", after_event=0,
        mean=1.0, low=-90.0, high=92.0, largest=3.0, scenes=6,
    )  # fmt: skip
    for scenes in (5, 6):
        path = tmp_path / f"{scenes}.png"
        assert draw_timecourse(path, [row, replace(row, after_event=1, scenes=scenes)], ["gpt"], "bits", "all")
    shown = [np.asarray(Image.open(tmp_path / f"{scenes}.png")) for scenes in (5, 6)]
    assert shown[0].shape != shown[1].shape or (shown[0] != shown[1]).any()


def test_people_are_drawn_beside_models(tmp_path: Path) -> None:
    rows = people_accuracies(PEOPLE)
    model = AccuracyRow(
        model="gpt", role="gpt", concept="colour", visibility="hidden", measure="quadruple", readout="film_mean",
        value=1.0, low=None, high=None, p=None, p_holm=None, scenes=4,
    )  # fmt: skip
    draw_accuracy(tmp_path / "without.png", [model], ["gpt"], ["quadruple"])
    draw_accuracy(tmp_path / "with.png", [model, *rows], ["gpt"], ["quadruple"])
    assert size_of(tmp_path / "with.png")[1] > size_of(tmp_path / "without.png")[1]
    assert [(row.model, row.role, row.value, row.low) for row in rows] == [
        ("people", "people", 0.9, 0.8),
        ("people", "people", 0.8, None),
    ]


def test_what_people_were_asked_and_the_source_are_on_the_page(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "Lead.", [people_section(PEOPLE)])
    page = (tmp_path / "page.html").read_text()
    assert "<td>films judged</td>" in page
    assert "<td>A and B 2020</td>" in page
    assert "<td>90.0 % [80, 95]</td>" in page


def drawn(surprise: float, latent_frames: int = 2) -> DrawnFilm:
    row = FilmRow(
        **dict.fromkeys(FilmRow.__dataclass_fields__)  # type: ignore[arg-type]
        | {"beginning": "A", "ending": "B", "possible": False, "event_first": 1, "event_end": 2, "latent_frames": 2}
    )
    values = np.full((latent_frames, 2, 2), np.nan, dtype=np.float32)
    values[1, 0, 1] = surprise
    return DrawnFilm(row, np.full((4, 8, 8, 3), 100, np.uint8), 4.0, [0, 0, 1, 1], values)


def test_heat_lies_where_and_when_the_surprise_is() -> None:
    heat = drawn(5.0).heat(5.0)
    grey = (heat == 100).all(axis=-1)
    assert grey[:2].all()
    assert not grey[2:, :4, 4:].any()
    assert grey[2:, 4:].all()


def test_matched_films_share_a_scale_of_whole_numbers() -> None:
    assert top_of([drawn(1.5), drawn(7.2)]) == 8.0
    assert top_of([drawn(0.25)]) == 0.25
    assert top_of([drawn(0.0)]) == 1.0


def test_films_are_framed_from_the_event_on() -> None:
    video = ((draw_video([drawn(1.0)], "bits") + 1) * 127.5).round().byte()
    border = video[:, :, 30, 2].T.tolist()  # below the line of text
    assert border[0] == border[1] == [255, 255, 255]
    assert border[2] == border[3] == [220, 30, 30]


def test_a_strip_shows_the_latent_frames_around_the_event() -> None:
    assert draw_strip([drawn(1.0)], "bits").width >= 4 * 96
