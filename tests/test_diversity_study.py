"""The study from end to end, made small."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import IMAGE, SHORT, make_images, make_tokenizer

from data.errors import MediaError
from data.tokens import TokenStore
from experiments.diversity.options import StudyOptions
from experiments.diversity.study import amounts, measured_steps, run_study
from storage.run_folder import RunFolderError
from vqgan.config import PRESETS


@pytest.fixture(scope="module", autouse=True)
def presets() -> Iterator[None]:
    """Tokenizers small enough to be trained here."""
    patch = pytest.MonkeyPatch()
    patch.setitem(PRESETS, "tiny-clip", SHORT)
    patch.setitem(PRESETS, "tiny-image", IMAGE)
    yield
    patch.undo()


def small(out: Path, **changes: Any) -> StudyOptions:
    chosen = {
        "clips": 8, "clip_tokenizer": "tiny-clip", "image_tokenizer": "tiny-image", "tokenizer_steps": 2, "steps": 2,
        "gpt_batch": 2, "training_items": (2, 4), "checkpoints": (0.5, 1.0), "n": 2, "items": 2, "perceptual": "none",
        "features": "none", **changes,
    }  # fmt: skip
    return StudyOptions(out=out, **chosen)


@pytest.fixture(scope="module")
def out(presets: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(small(tmp_path_factory.mktemp("study") / "playroom"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def places(folder: Path, part: str) -> list[tuple[str, float]]:
    return [(item.source, item.start) for item in TokenStore(folder).items if item.part == part]


def test_study_ends_with_a_report_of_all_runs(out: Path) -> None:
    assert (out / "report" / "report.html").is_file()
    names = {f"{kind}_{run}" for kind in ("image", "clip") for run in ("4", "2_context", "2_1", "4_context", "4_1")}
    assert {path.name for path in (out / "runs").iterdir()} == names
    assert {row["model"] for row in rows(out / "report" / "runs.csv")} == names


@pytest.mark.parametrize("part", ["train", "validation"])
def test_images_are_the_first_frames_of_the_very_clips(out: Path, part: str) -> None:
    assert places(out / "image" / "tokens", part) == places(out / "clip" / "tokens", part)
    assert len(places(out / "image" / "tokens", part)) == {"train": 14, "validation": 2}[part]


def test_all_models_are_tested_on_the_same_studied_items(out: Path) -> None:
    studied = {
        (row["source"], row["start"])
        for row in rows(out / "report" / "items.csv")
        if row["group"] == "studied" and row["model"].endswith("context")
    }
    assert len(studied) == 2
    assert studied <= {(source, str(start)) for source, start in places(out / "clip" / "tokens_2", "train")}


def test_main_runs_have_both_encodings_of_half(out: Path) -> None:
    for kind in ("image", "clip"):
        found = {(row["encoding"], row["given_share"]) for row in rows(out / "runs" / f"{kind}_4" / "items.csv")}
        assert found == {("alone", "0.5"), ("full", "0.5")}


def test_context_runs_give_from_one_to_all_but_one(out: Path) -> None:
    given = {row["given"] for row in rows(out / "runs" / "image_2_context" / "items.csv")}
    assert given == {"1", "2", "3"}


def test_exposure_runs_give_half(out: Path) -> None:
    for run in ("image_2_1", "clip_4_1"):
        assert {row["given_share"] for row in rows(out / "runs" / run / "items.csv")} == {"0.5"}


def test_earlier_steps_are_fewer_exposures(out: Path) -> None:
    exposures = {row["model"]: float(row["exposures"]) for row in rows(out / "report" / "runs.csv")}
    assert (exposures["clip_4_1"], exposures["clip_4"], exposures["clip_2_context"]) == (0.5, 1.0, 2.0)


def test_images_and_clips_are_trained_alike(out: Path) -> None:
    configs = [json.loads((out / kind / "gpt_4" / "config.json").read_text()) for kind in ("image", "clip")]
    for config in configs:
        del config["tokens"], config["out"]
    assert configs[0] == configs[1]


def test_stopped_study_continues(out: Path) -> None:
    weights = [*out.glob("*/tokenizer/checkpoints/*/model.safetensors"), *out.glob("*/gpt_*/checkpoints/*/model.*")]
    kept = [*weights, *out.glob("playroom/clips/*"), *out.glob("*/tokens*/*.bin"), *out.glob("runs/*/continuations/*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    (out / "report" / "report.html").unlink()
    run_study(small(out))
    assert (out / "report" / "report.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_other_options_into_the_same_folder_are_refused(out: Path) -> None:
    with pytest.raises(RunFolderError, match="steps: 2 -> 3"):
        run_study(small(out, steps=3))


def test_too_few_items_are_refused_before_anything_is_trained(out: Path, tmp_path: Path) -> None:
    videos = out / "playroom" / "clips"
    with pytest.raises(MediaError, match="14 images for training, --training-items asks for 15"):
        run_study(small(tmp_path / "own", videos=videos, training_items=(2, 15)))
    assert not (tmp_path / "own" / "image").exists()


def test_own_videos_and_images_and_tokenizers_are_used(out: Path, tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "tokenizer")
    options = small(
        tmp_path / "own", videos=out / "playroom" / "clips", images=make_images(tmp_path / "images", 6),
        image_tokenizer=str(tmp_path / "tokenizer"), clip_tokenizer=str(out / "clip" / "tokenizer"),
        training_items=(4,), checkpoints=(1.0,),
    )  # fmt: skip
    made = run_study(options)
    assert not any((made / name).exists() for name in ("playroom", "image/tokenizer", "clip/tokenizer"))
    assert {source for source, _ in places(made / "image" / "tokens", "train")} <= {f"image_{n}.png" for n in range(6)}
    assert {row["model"] for row in rows(made / "report" / "runs.csv")} == {
        "image_4",
        "image_4_context",
        "clip_4",
        "clip_4_context",
    }


def test_last_step_is_always_measured(tmp_path: Path) -> None:
    assert measured_steps(small(tmp_path, steps=100, checkpoints=(0.001, 0.25))) == [1, 25, 100]


@pytest.mark.parametrize(
    ("there", "expected"), [(2, (1,)), (4, (1, 2, 3)), (8, (1, 2, 4, 6, 7)), (16, (1, 4, 8, 12, 15))]
)
def test_amounts_lie_evenly_between_one_and_all_but_one(there: int, expected: tuple[int, ...]) -> None:
    assert amounts(there) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "--steps 0"),
        ({"clips": 0}, "--clips 0"),
        ({"preset": "dmeo"}, "did you mean demo"),
        ({"clip_tokenizer": "demo-9x9"}, "did you mean demo-8x8"),
        ({"training_items": (1, 4)}, "--training-items"),
        ({"training_items": ()}, "--training-items"),
        ({"checkpoints": (0.0,)}, "--checkpoints"),
        ({"checkpoints": (1.5,)}, "--checkpoints"),
    ],
)
def test_options_that_cannot_be_met_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(tmp_path, **changes)
