"""The recognition-memory experiment on a small list."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from memory_lists import make_list, make_options
from PIL import Image

from data.errors import StimulusError
from data.media import catalogue
from data.training_images import write_training_images
from experiments.memory.changes import CHANGES
from experiments.memory.experiment import run_memory
from experiments.memory.options import Change, MemoryOptions, ReportOptions
from experiments.memory.report import report_memory
from experiments.plots import draw_memory_curve
from experiments.statistics.accuracy import Accuracy, pooled, read_trials
from gpt.config import GPTConfig
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from sampling.prompts import MismatchError
from storage.run_folder import RunFolderError


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list")


@pytest.fixture(scope="module")
def finished(stimuli: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Accuracy]]:
    out = tmp_path_factory.mktemp("memory") / "run"
    return out, run_memory(make_options(stimuli, out, exposures=25))


def test_untrained_model_is_at_exactly_one_half(finished: tuple[Path, list[Accuracy]]) -> None:
    assert {curve[0].accuracy for curve in pooled(finished[1]).values()} == {0.5}


def test_studied_images_are_recognised(finished: tuple[Path, list[Accuracy]]) -> None:
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
    assert all(len(of_image) == 1 for of_image in scores.values())


def test_curve_and_manifest_are_written(finished: tuple[Path, list[Accuracy]]) -> None:
    with Image.open(finished[0] / "curve.png") as image:
        assert image.width > 300
    with (finished[0] / "manifest.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


def test_same_seed_same_trials(stimuli: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_memory(make_options(stimuli, tmp_path / name))
    assert (tmp_path / "one" / "trials.csv").read_bytes() == (tmp_path / "two" / "trials.csv").read_bytes()


def test_finished_versions_are_not_run_again(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run")
    run_memory(options)
    kept = tmp_path / "run" / "runs" / "as_given_0" / "trials.csv"
    lost = tmp_path / "run" / "runs" / "swapped_0" / "trials.csv"
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


def column(out: Path, name: str) -> set[str]:
    return {row[name] for row in read_trials(out / "trials.csv")}


def test_overwriting_repeats_every_run(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run", exposures=1)
    run_memory(options)
    run_memory(replace(options, exposures=2, overwrite=True))
    assert column(tmp_path / "run", "exposure") == {"0", "1", "2"}


def test_defects_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_list(tmp_path / "list", items=2)
    (root / "study" / "copy.png").write_bytes((root / "test" / "novel_unseen" / "novel_0.png").read_bytes())
    results = run_memory(make_options(root, tmp_path / "run", exposures=1, exclude_defects=True))
    draw_memory_curve(tmp_path / "without_a_word.png", results)
    assert (tmp_path / "run" / "curve.png").read_bytes() != (tmp_path / "without_a_word.png").read_bytes()
    assert column(tmp_path / "run", "item") == {"novel/novel_1.png", "state/state_0.png", "state/state_1.png"}
    assert "left out: the foil test/novel_unseen/novel_0.png is also studied" in capsys.readouterr().out
    assert "novel_0.png" in (tmp_path / "run" / "defects.csv").read_text()


def test_half_of_the_trials_are_tested_and_all_images_studied(stimuli: Path, tmp_path: Path) -> None:
    halves = {}
    for part in ("first-half", "second-half"):
        run_memory(make_options(stimuli, tmp_path / part, exposures=1, part=part))
        halves[part] = column(tmp_path / part, "item")
        assert len((tmp_path / part / "study.csv").read_text().splitlines()) == 1 + 12
    assert not halves["first-half"] & halves["second-half"]
    assert len(halves["first-half"] | halves["second-half"]) == 10


def test_random_sequences_are_learned_without_a_tokenizer(tmp_path: Path) -> None:
    options = make_options(None, tmp_path / "run", noise=8, noise_length=16, noise_codes=8, exposures=15)
    (curve,) = pooled(run_memory(replace(options, learning_rate=1e-2))).values()
    assert curve[0].accuracy == 0.5
    assert curve[-1].accuracy >= 0.9
    assert not (tmp_path / "run" / "tokenizer").exists()


def test_gpt_too_small_for_random_sequences_is_refused(tmp_path: Path) -> None:
    GPT(GPTConfig(layers=1, heads=1, width=16, grid=(1, 4, 4), vocab_size=7)).save_pretrained(tmp_path / "gpt")
    options = make_options(None, tmp_path / "run", noise=8, noise_length=16, noise_codes=8, gpt=tmp_path / "gpt")
    with pytest.raises(MismatchError, match="knows 7 tokens and sequences of 16"):
        run_memory(options)


def test_every_change_can_be_asked_for() -> None:
    assert set(get_args(Change)) == set(CHANGES)


def test_changes_are_made_to_test_images_only(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "plain"))
    run_memory(make_options(stimuli, tmp_path / "changed", changes=("mirror", "brightness")))
    rows = read_trials(tmp_path / "changed" / "trials.csv")
    assert {row["change"] for row in rows} == {"none", "mirror", "brightness"}
    assert [row for row in rows if row["change"] == "none"] == read_trials(tmp_path / "plain" / "trials.csv")
    scores = {row["change"]: row["nll_studied"] for row in rows if row["item"] == "state/state_0.png"}
    assert len(set(scores.values())) == 3


def test_tokenizer_that_knows_foils_is_pointed_out(
    stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_memory(make_options(stimuli, tmp_path / "first", exposures=1))
    tokenizer = tmp_path / "first" / "tokenizer"
    foil = stimuli / "test" / "state_unseen" / "state_3.png"
    write_training_images(tokenizer, catalogue(foil).sources)
    capsys.readouterr()
    run_memory(make_options(stimuli, tmp_path / "second", exposures=1, tokenizer=tokenizer))
    assert "trained on 1 of the 20 tested images, 1 of them foils" in capsys.readouterr().out
    known = (tmp_path / "second" / "known_images.csv").read_text().splitlines()
    assert known == ["path,side", "test/state_unseen/state_3.png,foil"]


def test_studied_images_and_foils_are_recalled(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", exposures=1, recall=2))
    with (tmp_path / "run" / "recall.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2
    assert {(row["version"], row["seed"], row["condition"]) for row in rows} == {
        (version, "0", condition) for version in ("as_given", "swapped") for condition in ("novel", "state")
    }
    studied = {version: {r["image"] for r in rows if (r["version"], r["studied"]) == (version, "yes")}
               for version in ("as_given", "swapped")}  # fmt: skip
    assert all(path.startswith("study/") for path in studied["as_given"])
    assert all("_unseen/" in path for path in studied["swapped"])


def test_second_list_must_not_show_what_is_tested(stimuli: Path, tmp_path: Path) -> None:
    other = make_list(tmp_path / "other", items=1, seed=1)
    (other / "study" / "filler_9.png").write_bytes((stimuli / "test" / "state_unseen" / "state_2.png").read_bytes())
    with pytest.raises(StimulusError, match=r"state_2\.png as study/filler_9\.png.*--then"):
        run_memory(make_options(stimuli, tmp_path / "run", then=other))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exposures", 0), ("batch", 0), ("fillers", -1), ("learning_rate", -1.0), ("preset", "tyny"), ("replay", -1),
        ("steps_per_exposure", 0), ("then_exposures", 0), ("trained_blocks", -1), ("store_layer", 0),
        ("save_every", 0), ("recall", -2),
    ],
)  # fmt: skip
def test_bad_option_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=str(value)):
        MemoryOptions(Path("list"), Path("out"), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--stimuli, or a number of random sequences with --noise"),
        ({"stimuli": Path("list"), "noise": 5}, "--stimuli, or a number of random sequences with --noise"),
        ({"noise": 5, "noise_length": 15}, "15 must be a square number"),
        ({"noise": 5, "changes": ("mirror",)}, "--changes is for images"),
        ({"noise": 5, "recall": 3}, "--recall is for images"),
        ({"stimuli": Path("list"), "optimizer_state": "resume"}, "needs --gpt"),
        ({"stimuli": Path("list"), "optimizer_state": "resume", "optimizer": "sgd"}, "continues Adam, not sgd"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryOptions(out=Path("out"), **options)


def test_a_run_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="--out is missing"):
        MemoryOptions(Path("list"))
