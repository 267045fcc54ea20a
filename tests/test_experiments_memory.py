"""The recognition-memory experiment on a small list."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.stimuli import StimulusError
from experiments.config import MemoryOptions, ReportOptions
from experiments.memory import run_memory
from experiments.memory_report import report_memory
from experiments.statistics import Accuracy, pooled, read_trials
from gpt.config import GPTConfig, ImportOptions
from gpt.import_weights import import_weights
from gpt.model import GPT
from sampling.prompts import MismatchError
from training.run_folder import RunFolderError


def make_list(root: Path, items: int = 5, fillers: int = 2) -> Path:
    """Write a list with the conditions novel and state; pictures are random colours, twelve pixels a side."""
    generator = np.random.default_rng(0)

    def write(*places: Path) -> None:
        pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place)

    for condition in ("novel", "state"):
        for item in range(items):
            name = f"{condition}_{item}.png"
            write(root / "study" / name, root / "test" / f"{condition}_seen" / name)
            write(root / "test" / f"{condition}_unseen" / name)
    for filler in range(fillers):
        write(root / "study" / f"filler_{filler}.png")
    return root


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list")


def make_options(stimuli: Path, out: Path, exposures: int = 2, learning_rate: float = 3e-3) -> MemoryOptions:
    return MemoryOptions(
        stimuli, out, colours=8, size=4, preset="demo", exposures=exposures, learning_rate=learning_rate
    )


@pytest.fixture(scope="module")
def finished(stimuli: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Accuracy]]:
    out = tmp_path_factory.mktemp("memory") / "run"
    return out, run_memory(make_options(stimuli, out, exposures=25))


def test_untrained_model_is_at_exactly_one_half(finished: tuple[Path, list[Accuracy]]) -> None:
    assert {curve[0].accuracy for curve in pooled(finished[1]).values()} == {0.5}


def test_studied_pictures_are_recognised(finished: tuple[Path, list[Accuracy]]) -> None:
    assert all(curve[-1].accuracy >= 0.9 for curve in pooled(finished[1]).values())


def test_every_item_and_exposure_has_a_row(finished: tuple[Path, list[Accuracy]]) -> None:
    rows = read_trials(finished[0] / "trials.csv")
    keys = {(row["version"], row["item"], row["exposure"]) for row in rows}
    assert len(rows) == len(keys) == 2 * 10 * 26


def test_swapped_version_studies_the_foils(finished: tuple[Path, list[Accuracy]]) -> None:
    rows = read_trials(finished[0] / "trials.csv")
    pairs = {version: {(r["studied"], r["foil"]) for r in rows if r["version"] == version} for version in
             ("as_given", "swapped")}  # fmt: skip
    assert pairs["swapped"] == {(foil, studied) for studied, foil in pairs["as_given"]}


def test_scores_before_study_agree_between_versions(finished: tuple[Path, list[Accuracy]]) -> None:
    rows = [row for row in read_trials(finished[0] / "trials.csv") if row["exposure"] == "0"]
    scores: dict[str, set[str]] = {}
    for row in rows:
        scores.setdefault(row["studied"], set()).add(row["nll_studied"])
        scores.setdefault(row["foil"], set()).add(row["nll_foil"])
    assert len(scores) == 20
    assert all(len(of_picture) == 1 for of_picture in scores.values())


def test_curve_and_manifest_are_written(finished: tuple[Path, list[Accuracy]]) -> None:
    with Image.open(finished[0] / "curve.png") as picture:
        assert picture.width > 300
    with (finished[0] / "manifest.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


def test_same_seed_same_trials(stimuli: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_memory(make_options(stimuli, tmp_path / name))
    assert (tmp_path / "one" / "trials.csv").read_bytes() == (tmp_path / "two" / "trials.csv").read_bytes()


def test_finished_versions_are_not_run_again(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run")
    run_memory(options)
    kept = tmp_path / "run" / "runs" / "as_given_0.csv"
    lost = tmp_path / "run" / "runs" / "swapped_0.csv"
    before, contents = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    run_memory(replace(options, resume="auto"))
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == contents


def test_second_run_into_a_folder_is_refused(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run", exposures=1)
    run_memory(options)
    with pytest.raises(RunFolderError, match="--resume auto"):
        run_memory(options)


def test_resuming_with_other_options_is_refused(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", exposures=1))
    with pytest.raises(RunFolderError, match="exposures: 1 -> 2"):
        run_memory(replace(make_options(stimuli, tmp_path / "run", exposures=2), resume="auto"))


def test_fillers_can_be_left_out(stimuli: Path, tmp_path: Path) -> None:
    run_memory(replace(make_options(stimuli, tmp_path / "run", exposures=1), fillers=0))
    assert len((tmp_path / "run" / "study.csv").read_text().splitlines()) == 1 + 10


def test_pretrained_gpt_of_another_tokenizer_is_refused(stimuli: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    GPT(GPTConfig(layers=1, heads=1, width=16, grid=(1, 4, 4), vocab_size=9)).save_pretrained(tmp_path / "gpt")
    with pytest.raises(MismatchError, match="knows 9 tokens, the tokenizer makes 8"):
        run_memory(replace(make_options(stimuli, tmp_path / "run"), gpt=tmp_path / "gpt"))


def test_imported_gpt_studies_with_its_palette(stimuli: Path, tmp_path: Path) -> None:
    checkpoint = Path(__file__).parent / "fixtures" / "igpt_tiny.pt"
    gpt = import_weights(ImportOptions("igpt", checkpoint, tmp_path / "gpt"))
    options = make_options(stimuli, tmp_path / "run", exposures=15, learning_rate=1e-2)
    curves = pooled(run_memory(replace(options, gpt=gpt, tokenizer=gpt / "tokenizer")))
    assert {curve[0].accuracy for curve in curves.values()} == {0.5}
    assert all(curve[-1].accuracy >= 0.9 for curve in curves.values())


def test_defective_list_stops_before_anything_is_written(tmp_path: Path) -> None:
    root = make_list(tmp_path / "list", items=2)
    (root / "study" / "copy.png").write_bytes((root / "test" / "novel_unseen" / "novel_0.png").read_bytes())
    with pytest.raises(StimulusError, match=r"novel_unseen/novel_0\.png is also studied as study/copy.png"):
        run_memory(make_options(root, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_list_that_cannot_be_swapped_runs_as_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_list(tmp_path / "list", items=2)
    studied = root / "study" / "state_0.png"
    (root / "test" / "novel_seen" / "novel_0.png").write_bytes(studied.read_bytes())
    run_memory(make_options(root, tmp_path / "run", exposures=1))
    assert "cannot be counterbalanced" in capsys.readouterr().out
    assert {row["version"] for row in read_trials(tmp_path / "run" / "trials.csv")} == {"as_given"}
    report_memory(ReportOptions((tmp_path / "run",), tmp_path / "report"))
    assert "run as given only" in (tmp_path / "report" / "report.html").read_text()


def test_report_merges_runs(stimuli: Path, tmp_path: Path) -> None:
    runs = []
    for seed in (0, 1):
        runs.append(tmp_path / f"run{seed}")
        run_memory(replace(make_options(stimuli, runs[-1], exposures=1), seed=seed))
    report_memory(ReportOptions(tuple(runs), tmp_path / "report"))
    rows = read_trials(tmp_path / "report" / "trials.csv")
    assert {row["seed"] for row in rows} == {"0", "1"}
    page = (tmp_path / "report" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "run twice" in page


@pytest.mark.parametrize(
    ("name", "value"), [("exposures", 0), ("batch", 0), ("fillers", -1), ("learning_rate", 0.0), ("preset", "tyny")]
)
def test_bad_option_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=str(value)):
        MemoryOptions(Path("list"), Path("out"), **{name: value})  # type: ignore[arg-type]
