"""The study from end to end, made small."""

import csv
import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tiny import IMAGE, SHORT, make_images, make_tokenizer, make_videos

import secondsight
from data.errors import MediaError
from data.tokens import TokenStore
from experiments.diversity.conditions import Kind
from experiments.diversity.options import StudyOptions
from experiments.diversity.study import Arm, measured_steps, prompt_lengths, run_study, study_parts, study_steps
from gpt.config import GPTConfig
from storage.command import arguments_of
from storage.run_folder import RunFolderError
from vqgan.model import load_tokenizer

TINY = GPTConfig(layers=1, heads=2, width=16)


class Tokenizers(NamedTuple):
    """Folders of tokenizers that are small enough for a test."""

    clip: Path
    image: Path


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    folder = tmp_path_factory.mktemp("tokenizers")
    make_tokenizer(SHORT).save_pretrained(folder / "clip")
    make_tokenizer(IMAGE).save_pretrained(folder / "image")
    return Tokenizers(clip=folder / "clip", image=folder / "image")


def small(out: Path, tokenizers: Tokenizers | None = None, **changes: Any) -> StudyOptions:
    chosen = {
        **TINY.flat(),
        "clips": 8,
        "tokenizer_steps": 2,
        "steps": 2,
        "gpt_batch": 2,
        "grad_clip": 0.0,
        "training_items": (2, 4),
        "checkpoints": (0.5, 1.0),
        "n": 2,
        "items": 2,
        "perceptual": "none",
        "features": "none",
    }
    if tokenizers:
        chosen |= {"clip_tokenizer": str(tokenizers.clip), "image_tokenizer": str(tokenizers.image)}
    return StudyOptions.of(out=out, **{**chosen, **changes})


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    """What the study says of its course."""
    return io.StringIO()


@pytest.fixture(scope="module")
def out(tokenizers: Tokenizers, said: io.StringIO, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with redirect_stderr(said):
        return run_study(small(tmp_path_factory.mktemp("study") / "playroom", tokenizers))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def origins(folder: Path, split: str) -> list[tuple[str, float]]:
    """Source and start of the items of a split of a token store."""
    return [(item.source, item.start) for item in TokenStore(folder).items if item.split == split]


def test_study_ends_with_a_report_of_all_runs(out: Path) -> None:
    assert (out / "report" / "report.html").is_file()
    names = {f"{kind}_{run}" for kind in ("image", "clip") for run in ("4", "2_context", "2_1", "4_context", "4_1")}
    assert {path.name for path in (out / "runs").iterdir()} == names
    assert {row["model"] for row in rows(out / "report" / "runs.csv")} == names


@pytest.mark.parametrize("split", ["train", "validation"])
def test_images_are_the_first_frames_of_the_very_clips(out: Path, split: str) -> None:
    assert origins(out / "image" / "tokens", split) == origins(out / "clip" / "tokens", split)
    assert len(origins(out / "image" / "tokens", split)) == {"train": 14, "validation": 2}[split]


def test_all_models_are_tested_on_the_same_studied_items(out: Path) -> None:
    studied = {
        (row["source"], row["start"])
        for row in rows(out / "report" / "items.csv")
        if row["group"] == "studied" and row["model"].endswith("context")
    }
    assert len(studied) == 2
    assert studied <= {(source, str(start)) for source, start in origins(out / "clip" / "tokens_2", "train")}


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


def test_gpts_are_trained_without_clipping_when_asked_to(out: Path) -> None:
    assert {json.loads(path.read_text())["grad_clip"] for path in out.glob("*/gpt_*/config.json")} == {0.0}


def test_other_options_into_the_same_folder_are_refused(out: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(RunFolderError, match="--steps 2 -> 3"):
        run_study(small(out, tokenizers, steps=3))


def test_too_few_items_are_refused_before_anything_is_trained(
    out: Path, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    videos = out / "playroom" / "clips"
    with pytest.raises(MediaError, match="14 images for training, --training-items asks for 15"):
        run_study(small(tmp_path / "own", tokenizers, videos=videos, training_items=(2, 15)))
    assert not (tmp_path / "own" / "image").exists()


@pytest.fixture(scope="module")
def own_options(out: Path, tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> StudyOptions:
    """Of a study of one size of training set, of images and videos that were given."""
    folder = tmp_path_factory.mktemp("own")
    return small(
        folder / "own",
        tokenizers,
        videos=out / "playroom" / "clips",
        images=make_images(folder / "images", 6),
        training_items=(4,),
        checkpoints=(1.0,),
    )


@pytest.fixture(scope="module")
def own(own_options: StudyOptions) -> Path:
    return run_study(own_options)


def test_own_videos_and_images_and_tokenizers_are_used(own: Path) -> None:
    assert not any((own / name).exists() for name in ("playroom", "image/tokenizer", "clip/tokenizer"))
    assert {source for source, _ in origins(own / "image" / "tokens", "train")} <= {f"image_{n}.png" for n in range(6)}
    assert {row["model"] for row in rows(own / "report" / "runs.csv")} == {
        "image_4",
        "image_4_context",
        "clip_4",
        "clip_4_context",
    }


def test_stopped_study_continues(own: Path, own_options: StudyOptions) -> None:
    weights = list(own.glob("*/gpt_*/checkpoints/*/model.*"))
    kept = [*weights, *own.glob("*/tokens*/*.bin"), *own.glob("runs/*/continuations/*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    (own / "report" / "report.html").unlink()
    run_study(own_options)
    assert (own / "report" / "report.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == before


@pytest.mark.parametrize(("kind", "frames"), [("image", 1), ("clip", 16)])
def test_tokenizers_of_presets_are_trained_once(tmp_path: Path, kind: Kind, frames: int) -> None:
    videos = make_videos(tmp_path / "videos", 4, frames=32, size=64)
    arm = Arm(kind, small(tmp_path / "study", tokenizer_steps=1), videos)
    arm.make_tokenizer()
    assert json.loads((arm.tokenizer / "config.json").read_text())["grad_clip"] == 0
    (weights,) = arm.tokenizer.glob("checkpoints/*/model.safetensors")
    before = weights.stat().st_mtime_ns
    arm.make_tokenizer()
    assert weights.stat().st_mtime_ns == before
    assert load_tokenizer(arm.tokenizer).frames == frames


def test_last_step_is_always_measured(tmp_path: Path) -> None:
    assert measured_steps(small(tmp_path, steps=100, checkpoints=(0.001, 0.25))) == [1, 25, 100]


@pytest.mark.parametrize(
    ("there", "expected"), [(2, (1,)), (4, (1, 2, 3)), (8, (1, 2, 4, 6, 7)), (16, (1, 4, 8, 12, 15))]
)
def test_prompt_lengths_lie_evenly_between_one_and_all_but_one(there: int, expected: tuple[int, ...]) -> None:
    assert prompt_lengths(there) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "--steps 0"),
        ({"clips": 0}, "--clips 0"),
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


def test_an_unknown_preset_of_the_gpt_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        secondsight.parse(["diversity", "study", "--out", str(tmp_path), "--preset", "dmeo"])
    assert "did you mean demo?" in capsys.readouterr().err


def test_it_is_said_what_was_found_and_what_comes_next(out: Path, said: io.StringIO) -> None:
    assert "images       8 videos, 16 clips: 14 for training, 2 new" in said.getvalue()
    assert "gpts         1 layer, 2 heads, 16 wide; 2 steps on 2, 4 items" in said.getvalue()
    assert f"{out} is ready; next: secondsight complete --gpt {out}/clip/gpt_4" in said.getvalue()


# Parts, which jobs carry out


def test_videos_that_are_there_are_kept(out: Path, tokenizers: Tokenizers) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.glob("playroom/clips/*")}
    assert before
    run_study(small(out, tokenizers, part="videos"))
    assert {path: path.stat().st_mtime_ns for path in out.glob("playroom/clips/*")} == before


def test_parts_are_the_very_runs_of_the_study(out: Path, tokenizers: Tokenizers) -> None:
    runs = study_parts(small(out, tokenizers))["runs"]
    assert len(runs) == len(set(runs))
    assert {f"run-{path.name}" for path in (out / "runs").iterdir()} == set(runs)


def test_jobs_are_commands_that_mean_their_parts(tokenizers: Tokenizers) -> None:
    steps = study_steps(small(Path("out"), tokenizers, slurm=True))
    assert [step.name for step in steps] == ["videos", "tokens", "gpts", "runs", "report"]
    for step in steps:
        assert [secondsight.parse(arguments_of(each)) for each in step.commands] == list(step.commands)
    assert [each.flat()["part"] for each in steps[2].commands] == [
        "image-gpt_2",
        "image-gpt_4",
        "clip-gpt_2",
        "clip-gpt_4",
    ]


def test_a_part_of_another_name_is_refused(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(
        ValueError, match=r"there is no part 'clip-gpt_3'; there are videos, .*; did you mean clip-gpt_"
    ):
        run_study(small(tmp_path, tokenizers, part="clip-gpt_3"))


def test_a_part_needs_the_study_to_have_begun(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(RunFolderError, match=r"holds no study yet: its part 'videos' comes first"):
        run_study(small(tmp_path / "out", tokenizers, part="clip-tokens"))


def test_a_part_of_a_study_with_other_options_is_refused(out: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(RunFolderError, match="--steps 2 -> 3"):
        run_study(small(out, tokenizers, steps=3, part="report"))


def test_jobs_are_of_the_whole_study() -> None:
    with pytest.raises(ValueError, match="--slurm writes jobs for all parts: leave out --part report"):
        small(Path("out"), slurm=True, part="report")
