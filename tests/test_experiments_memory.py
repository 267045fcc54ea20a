"""The recognition-memory experiment on a small list."""

import csv
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from memory_lists import make_list, make_options
from PIL import Image

import secondsight
from data.errors import StimulusError
from data.media import catalogue
from data.training_images import write_training_images
from experiments.memory.changes import CHANGES
from experiments.memory.experiment import run_memory
from experiments.memory.options import Change, MemoryOptions, ReportOptions
from experiments.memory.report import report_memory
from experiments.plots import draw_memory_curve
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.trials import read_trials
from gpt.config import GPTConfig, MismatchError
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.options import LARGEST_SEED
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
    keys = {(row.version, row.item, row.exposure) for row in rows}
    assert len(rows) == len(keys) == 2 * 10 * 26


def test_nll_is_in_bits_per_pixel_too(finished: tuple[Path, list[Accuracy]]) -> None:
    """A palette has one token for each pixel."""
    for row in read_trials(finished[0] / "trials.csv"):
        assert row.bits_per_pixel_studied == pytest.approx(row.nll_studied / math.log(2))
        assert row.bits_per_pixel_foil == pytest.approx(row.nll_foil / math.log(2))


def test_swapped_version_studies_the_foils(finished: tuple[Path, list[Accuracy]]) -> None:
    rows = read_trials(finished[0] / "trials.csv")
    as_given = {(row.studied, row.foil) for row in rows if row.version == "as_given"}
    swapped = {(row.studied, row.foil) for row in rows if row.version == "swapped"}
    assert swapped == {(foil, studied) for studied, foil in as_given}


def test_scores_before_study_agree_between_versions(finished: tuple[Path, list[Accuracy]]) -> None:
    rows = [row for row in read_trials(finished[0] / "trials.csv") if row.exposure == 0]
    scores: dict[str, set[float]] = {}
    for row in rows:
        scores.setdefault(row.studied, set()).add(row.nll_studied)
        scores.setdefault(row.foil, set()).add(row.nll_foil)
    assert len(scores) == 20
    assert all(len(of_image) == 1 for of_image in scores.values())


def test_curve_and_manifest_are_written(finished: tuple[Path, list[Accuracy]]) -> None:
    with Image.open(finished[0] / "curve.png") as image:
        assert image.width > 300
    with (finished[0] / "manifest.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


def test_what_was_found_is_said_and_accuracies_stand_alone_on_stdout(
    stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", exposures=1))
    printed = capsys.readouterr()
    facts = printed.err.splitlines()
    assert facts[0].startswith("device       ")
    assert facts[1:5] == [
        "list         12 studied images; trials: 5 novel, 5 state",
        "versions     as given, and with studied images and foils swapped",
        "skipped      none",
        "defects      none",
    ]
    assert "tokens       16 per image, 1x4x4 of 8 codes" in facts
    assert "model        new, 4 layers, 4 heads, 128 wide, 855,296 parameters" in facts
    out = tmp_path / "run"
    assert facts[-1] == f"{out} is ready; next: secondsight memory report {out} --out REPORT"
    assert [line.split(":")[0] for line in printed.out.splitlines()] == ["novel", "state"]


def test_fillers_that_cannot_be_read_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_list(tmp_path / "list", items=1)
    (root / "study" / "filler_0.png").write_bytes(b"")
    run_memory(make_options(root, tmp_path / "run", exposures=1))
    assert "skipped      1 file: " in capsys.readouterr().err


def test_same_seed_same_trials(stimuli: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_memory(make_options(stimuli, tmp_path / name))
    assert (tmp_path / "one" / "trials.csv").read_bytes() == (tmp_path / "two" / "trials.csv").read_bytes()


def test_finished_versions_are_not_run_again(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run")
    run_memory(options)
    kept = tmp_path / "run" / "runs" / "as_given_0" / "trials.csv"
    lost = tmp_path / "run" / "runs" / "swapped_0" / "trials.csv"
    before = kept.stat().st_mtime_ns
    contents = lost.read_bytes()
    lost.unlink()
    run_memory(options.changed(resume="auto"))
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == contents


def test_second_run_into_a_folder_is_refused(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run", exposures=1)
    run_memory(options)
    with pytest.raises(RunFolderError, match="--resume auto"):
        run_memory(options)


def test_resuming_with_other_options_is_refused(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", exposures=1))
    with pytest.raises(RunFolderError, match="--exposures 1 -> 2"):
        run_memory(make_options(stimuli, tmp_path / "run", exposures=2, resume="auto"))


def test_fillers_can_be_left_out(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", exposures=1, fillers=0))
    assert len((tmp_path / "run" / "study.csv").read_text().splitlines()) == 1 + 10


def test_pretrained_gpt_of_another_tokenizer_is_refused(stimuli: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    GPT(GPTConfig(layers=1, heads=1, width=16, grid=(1, 4, 4), vocab_size=9)).save_pretrained(tmp_path / "gpt")
    with pytest.raises(MismatchError, match="knows 9 tokens, these are of 8"):
        run_memory(make_options(stimuli, tmp_path / "run", gpt=tmp_path / "gpt"))


def test_imported_gpt_studies_with_its_palette(stimuli: Path, tmp_path: Path) -> None:
    checkpoint = Path(__file__).parent / "fixtures" / "igpt_tiny.pt"
    gpt = import_weights(ImportOptions("igpt", checkpoint, tmp_path / "gpt"))
    settings = {"exposures": 15, "learning_rate": 1e-2, "gpt": gpt, "tokenizer": gpt / "tokenizer"}
    curves = pooled(run_memory(make_options(stimuli, tmp_path / "run", **settings)))
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
    assert "cannot be counterbalanced" in capsys.readouterr().err
    assert {row.version for row in read_trials(tmp_path / "run" / "trials.csv")} == {"as_given"}
    report_memory(ReportOptions((tmp_path / "run",), tmp_path / "report"))
    assert "run as given only" in (tmp_path / "report" / "report.html").read_text()


def test_report_merges_runs(stimuli: Path, tmp_path: Path) -> None:
    runs = []
    for seed in (0, 1):
        runs.append(tmp_path / f"run{seed}")
        run_memory(make_options(stimuli, runs[-1], exposures=1, seed=seed))
    report_memory(ReportOptions(tuple(runs), tmp_path / "report"))
    rows = read_trials(tmp_path / "report" / "trials.csv")
    assert {row.seed for row in rows} == {0, 1}
    page = (tmp_path / "report" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "were run in two versions" in page


def items_tested(out: Path) -> set[str]:
    return {row.item for row in read_trials(out / "trials.csv")}


def test_overwriting_repeats_every_run(stimuli: Path, tmp_path: Path) -> None:
    options = make_options(stimuli, tmp_path / "run", exposures=1)
    run_memory(options)
    run_memory(options.changed(exposures=2, overwrite=True))
    assert {row.exposure for row in read_trials(tmp_path / "run" / "trials.csv")} == {0, 1, 2}


def test_defects_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_list(tmp_path / "list", items=2)
    (root / "study" / "copy.png").write_bytes((root / "test" / "novel_unseen" / "novel_0.png").read_bytes())
    results = run_memory(make_options(root, tmp_path / "run", exposures=1, exclude_defects=True))
    draw_memory_curve(tmp_path / "without_a_word.png", results)
    assert (tmp_path / "run" / "curve.png").read_bytes() != (tmp_path / "without_a_word.png").read_bytes()
    assert items_tested(tmp_path / "run") == {"novel/novel_1.png", "state/state_0.png", "state/state_1.png"}
    assert "left out: the foil test/novel_unseen/novel_0.png is also studied" in capsys.readouterr().err
    assert "novel_0.png" in (tmp_path / "run" / "defects.csv").read_text()


def test_half_of_the_trials_are_tested_and_all_images_studied(stimuli: Path, tmp_path: Path) -> None:
    halves = {}
    for half in ("first", "second"):
        run_memory(make_options(stimuli, tmp_path / half, exposures=1, half=half))
        halves[half] = items_tested(tmp_path / half)
        assert len((tmp_path / half / "study.csv").read_text().splitlines()) == 1 + 12
    assert not halves["first"] & halves["second"]
    assert len(halves["first"] | halves["second"]) == 10


def test_random_sequences_are_learned_without_a_tokenizer(tmp_path: Path) -> None:
    settings = {"noise": 8, "noise_length": 16, "noise_codes": 8, "exposures": 15, "learning_rate": 1e-2}
    (curve,) = pooled(run_memory(make_options(None, tmp_path / "run", **settings))).values()
    assert curve[0].accuracy == 0.5
    assert curve[-1].accuracy >= 0.9
    assert not (tmp_path / "run" / "tokenizer").exists()
    rows = read_trials(tmp_path / "run" / "trials.csv")
    assert {(row.bits_per_pixel_studied, row.bits_per_pixel_foil) for row in rows} == {(None, None)}  # no pixels


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
    assert {row.change for row in rows} == {"none", "mirror", "brightness"}
    assert [row for row in rows if row.change == "none"] == read_trials(tmp_path / "plain" / "trials.csv")
    scores = {row.change: row.nll_studied for row in rows if row.item == "state/state_0.png"}
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
    assert "trained on 1 of the 20 tested images, 1 of them foils" in capsys.readouterr().err
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
    as_given = [row["image"] for row in rows if (row["version"], row["studied"]) == ("as_given", "yes")]
    swapped = [row["image"] for row in rows if (row["version"], row["studied"]) == ("swapped", "yes")]
    assert len(as_given) == len(swapped) == 2
    assert all(path.startswith("study/") for path in as_given)
    assert all("_unseen/" in path for path in swapped)


def test_second_list_must_not_show_what_is_tested(stimuli: Path, tmp_path: Path) -> None:
    other = make_list(tmp_path / "other", items=1, seed=1)
    (other / "study" / "filler_9.png").write_bytes((stimuli / "test" / "state_unseen" / "state_2.png").read_bytes())
    with pytest.raises(StimulusError, match=r"state_2\.png as study/filler_9\.png.*--then"):
        run_memory(make_options(stimuli, tmp_path / "run", then=other))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exposures", 0),
        ("batch", 0),
        ("fillers", -1),
        ("learning_rate", -1.0),
        ("replay", -1),
        ("steps_per_exposure", 0),
        ("then_exposures", 0),
        ("trained_blocks", -1),
        ("store_layer", 0),
        ("save_every", 0),
        ("recall", -2),
    ],
)
def test_bad_option_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} {value:g} must"):
        MemoryOptions.of(stimuli=Path("list"), out=Path("out"), **{name: value})


def test_unknown_preset_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        secondsight.parse(["memory", "run", "--stimuli", "list", "--out", "out", "--preset", "tyny"])
    assert "there is no preset 'tyny'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--stimuli, or a number of random sequences with --noise"),
        ({"stimuli": Path("list"), "noise": 5}, "--stimuli, or a number of random sequences with --noise"),
        ({"noise": 5, "noise_length": 15}, "15 must be a square number"),
        ({"noise": 10**6, "noise_length": 2**20}, "--noise 1000000 sequences of --noise-length 1048576 exceed"),
        ({"noise": 5, "seed": LARGEST_SEED, "seeds": 2}, "and the --seeds 2 from it on exceed"),
        ({"noise": 5, "changes": ("mirror",)}, "--changes is for images"),
        ({"noise": 5, "recall": 3}, "--recall is for images"),
        ({"stimuli": Path("list"), "optimizer_state": "resume"}, "needs --gpt"),
        ({"stimuli": Path("list"), "optimizer_state": "resume", "optimizer": "sgd"}, "continues Adam, not sgd"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryOptions.of(out=Path("out"), **options)


def test_a_run_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="--out is missing"):
        MemoryOptions.of(stimuli=Path("list"))
