"""Completing items: the files written, what they hold, what is refused, and runs that were interrupted."""

import csv
import json
import math
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holder import held_by_another
from looking_ahead import make_tats
from media import packet_places
from PIL import Image
from tiny import (
    FPS,
    GPT_IMAGEGPT,
    GPT_LEGACY,
    GPT_SHORT,
    IMAGE,
    SHORT,
    make_gpt,
    make_grey_images,
    make_images,
    make_tokenizer,
    make_videos,
)

import secondsight
from data.errors import MediaError
from data.items import find_items, split_items
from data.video import probe_video
from gpt.config import GPTConfig, MismatchError
from sampling.complete import complete
from sampling.options import CompleteOptions, Split
from storage.command import command_line
from storage.lock import FolderLockError
from storage.run_folder import RunFolderError
from vqgan.config import VQGANConfig


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"), 3, frames=8, size=16)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"))


def save_models(folder: Path, config: VQGANConfig, gpt: GPTConfig = GPT_SHORT, **changes: Any) -> dict[str, Path]:
    tokenizer = make_tokenizer(config)
    tokenizer.save_pretrained(folder / "tokenizer")
    grid = tokenizer.grid(config.frames, 16, 16)
    known = replace(gpt, **{"grid": grid, "tokenizer": tokenizer.fingerprint, **changes})
    make_gpt(known).save_pretrained(folder / "gpt")
    return {"gpt": folder / "gpt", "tokenizer": folder / "tokenizer"}


@pytest.fixture(scope="module")
def video_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_models(tmp_path_factory.mktemp("video"), SHORT)


@pytest.fixture(scope="module")
def image_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_models(tmp_path_factory.mktemp("image"), IMAGE)


@pytest.fixture(scope="module")
def half_clips(video_models: dict[str, Path], videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "new"
    return complete(CompleteOptions.of(**video_models, out=out, input=(videos,), n=2))


@pytest.fixture(scope="module")
def half_images(image_models: dict[str, Path], images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    return complete(CompleteOptions.of(**image_models, out=out, input=(images,), prompt="half-image", n=2))


def record_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "sample.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_of_items(out: Path) -> set[str]:
    """Return what the names of an item's files end in, having checked that all three items have the same."""
    names = {path.name for path in (out / "items").iterdir()}
    endings = {name.removeprefix("item_000") for name in names if name.startswith("item_000")}
    assert names == {f"item_00{number}{ending}" for number in range(3) for ending in endings}
    return endings


FILES = {
    "config.json",
    "environment.json",
    "sample.json",
    "tokens.npy",
    "log_probabilities.npy",
    "entropies.npy",
    "items.csv",
    "skipped.csv",
    "grid.png",
    "index.html",
    "items",
}


def test_every_item_has_its_files(half_clips: Path) -> None:
    assert {path.name for path in half_clips.iterdir()} == FILES
    kinds = (".mp4", ".gif", ".png", ".npz", "_entropy.png", "_poster.png")
    assert {path.name for path in (half_clips / "items").iterdir()} == {
        f"item_00{i}{k}" for i in range(3) for k in kinds
    }


def test_videos_have_the_frames_of_a_clip(half_clips: Path) -> None:
    info = probe_video(half_clips / "items" / "item_000.mp4")
    assert (len(info.timestamps), info.duration) == (8, pytest.approx(8 / FPS))


def test_images_give_images_and_no_video(half_images: Path) -> None:
    assert {path.name for path in half_images.iterdir()} == FILES
    kinds = (".png", ".npz", "_entropy.png")
    assert {path.name for path in (half_images / "items").iterdir()} == {
        f"item_00{i}{k}" for i in range(3) for k in kinds
    }


def test_the_grid_is_an_image(half_images: Path) -> None:
    with Image.open(half_images / "grid.png") as grid:
        assert grid.width > grid.height > 3 * 128


@pytest.mark.parametrize(("folder", "shape"), [("half_clips", (3, 2, 32)), ("half_images", (3, 2, 16))])
def test_arrays_have_a_row_per_item_and_continuation(
    folder: str, shape: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    out = request.getfixturevalue(folder)
    arrays = [np.load(out / f"{name}.npy") for name in ("tokens", "log_probabilities", "entropies")]
    assert [array.shape for array in arrays] == [shape] * 3
    assert [array.dtype for array in arrays] == [np.int64, np.float32, np.float32]


def test_scores_are_there_for_what_was_imagined_only(half_clips: Path) -> None:
    entropies = np.load(half_clips / "entropies.npy")
    assert np.isnan(entropies[:, :, :16]).all()
    assert (entropies[:, :, 16:] >= 0).all()


def test_the_table_has_a_row_per_item(half_clips: Path) -> None:
    rows = rows_of(half_clips / "items.csv")
    assert [row["source"] for row in rows] == [f"film_{number}.mp4" for number in range(3)]
    entropies = np.load(half_clips / "entropies.npy") / np.log(2)
    expected = np.nansum(entropies, axis=2).mean(axis=1)
    assert [float(row["entropy_bits"]) for row in rows] == pytest.approx(expected.tolist(), rel=1e-4)
    assert all(0 < float(row["best_distance"]) <= float(row["distance_to_truth"]) < 1 for row in rows)


def test_the_record_says_how_to_do_it_again(half_clips: Path) -> None:
    record = record_of(half_clips)
    assert record["options"]["seed"] == 0
    assert record["items"][1] == {"stem": "item_001", "source": "film_1.mp4", "start": 0.0}
    assert (record["grid"], record["frames"], record["prompt_tokens"], record["window_starts"]) == (
        [2, 4, 4],
        8,
        16,
        [],
    )
    assert record["given"] == {"latent_frames": 1, "rows": 4, "columns": 4}
    assert record["tokenizer"] == make_tokenizer(SHORT).fingerprint
    assert len(record["gpt"]) == 16
    assert record["environment"]["packages"]["torch"]


def test_the_command_line_gives_the_same_options(tmp_path: Path) -> None:
    options = CompleteOptions.of(
        gpt=Path("a gpt"),
        tokenizer=Path("t"),
        out=tmp_path,
        input=(Path("x y"), Path("z")),
        split="validation",
        prompt="rows",
        given=0.3,
        prompt_encoding="full",
        top_p=0.9,
        batch=2,
    )
    assert secondsight.parse(shlex.split(command_line(options))[1:]) == options


def test_one_input_is_enough_on_the_command_line(tmp_path: Path) -> None:
    words = ["complete", "--gpt", "g", "--tokenizer", "t", "--input", "videos", "--out", "o"]
    assert secondsight.parse(words).input == (Path("videos"),)


def test_the_same_seed_gives_the_same_file(half_clips: Path, video_models: Any, videos: Path, tmp_path: Path) -> None:
    again = complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=2))
    assert (again / "tokens.npy").read_bytes() == (half_clips / "tokens.npy").read_bytes()


def test_another_seed_gives_other_tokens(half_clips: Path, video_models: Any, videos: Path, tmp_path: Path) -> None:
    again = complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=2, seed=1))
    assert not np.array_equal(np.load(again / "tokens.npy"), np.load(half_clips / "tokens.npy"))


def test_the_batch_changes_no_token(half_clips: Path, video_models: Any, videos: Path, tmp_path: Path) -> None:
    again = complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=2, batch=1))
    assert (again / "tokens.npy").read_bytes() == (half_clips / "tokens.npy").read_bytes()


def interrupt(out: Path) -> None:
    """Leaves of a finished run what one that was stopped while the second item was written leaves."""
    for path in (out / "items").iterdir():
        if path.name.startswith("item_002") or path.name == "item_001.npz":
            path.unlink()
    for name in FILES - {"config.json", "environment.json", "items"}:
        (out / name).unlink()


@pytest.mark.parametrize("batch", [2, 4])
def test_an_interrupted_run_ends_with_the_same_files(
    batch: int, half_clips: Path, video_models: Any, videos: Path, tmp_path: Path
) -> None:
    options = CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=2, batch=batch, resume="auto")
    interrupt(complete(options))
    finished = tmp_path / "items" / "item_000.npz"
    written = finished.stat().st_mtime_ns
    complete(options)
    assert finished.stat().st_mtime_ns == written
    for name in ("tokens.npy", "grid.png", "index.html"):
        assert (tmp_path / name).read_bytes() == (half_clips / name).read_bytes(), name


def half_a_file(path: Path) -> None:
    path.write_bytes(b"PK half a file")


def another_token(path: Path) -> None:
    """Writes a sound file of the same version that holds another token."""
    with np.load(path) as kept:
        arrays = dict(kept)
    arrays["tokens"].flat[-1] ^= 1
    np.savez_compressed(path, **arrays)


def another_item(path: Path) -> None:
    path.write_bytes(path.with_name("item_001.npz").read_bytes())


@pytest.mark.parametrize("damage", [half_a_file, another_token, another_item])
def test_a_damaged_item_is_completed_again_and_that_is_said(
    damage: Callable[[Path], None],
    half_clips: Path,
    video_models: Any,
    videos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shutil.copytree(half_clips, tmp_path / "out")
    damage(out / "items" / "item_000.npz")
    complete(CompleteOptions.of(**video_models, out=out, input=(videos,), n=2, resume="auto"))
    said = capsys.readouterr().err
    assert re.search(r"item_000\.npz is damaged, or of another run or version .*: it is made again", said)
    assert (out / "tokens.npy").read_bytes() == (half_clips / "tokens.npy").read_bytes()


def test_a_start_that_fails_leaves_nothing_behind(video_models: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(tmp_path / "mistyped",), n=1))
    assert not (tmp_path / "out").exists()


def test_two_do_not_complete_into_one_folder(video_models: Any, videos: Path, tmp_path: Path) -> None:
    with held_by_another(tmp_path / "out"), pytest.raises(FolderLockError):
        complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(videos,), n=1))
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_folder_with_completions_is_not_overwritten_unasked(
    half_clips: Path, video_models: Any, videos: Path
) -> None:
    with pytest.raises(RunFolderError, match="continue it with --resume auto"):
        complete(CompleteOptions.of(**video_models, out=half_clips, input=(videos,), n=2))


def test_completions_are_not_continued_with_other_options(half_clips: Path, video_models: Any, videos: Path) -> None:
    with pytest.raises(RunFolderError, match="--seed 0 -> 1"):
        complete(CompleteOptions.of(**video_models, out=half_clips, input=(videos,), n=2, seed=1, resume="auto"))


def test_completions_are_replaced_when_asked(video_models: Any, videos: Path, tmp_path: Path) -> None:
    options = CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=1)
    complete(options)
    complete(replace(options, items=1, seed=1, overwrite=True))
    assert not (tmp_path / "items" / "item_001.npz").exists()
    assert len(np.load(tmp_path / "tokens.npy")) == 1


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_sampled(
    video_models: Any, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"--out .*file/out cannot be written: Not a directory"):
        complete(CompleteOptions.of(**video_models, out=tmp_path / "file" / "out", input=(videos,)))
    assert "Completing" not in capsys.readouterr().err


def test_nothing_is_written_where_something_is_refused(video_models: Any, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--top-k 33 is above"):
        complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(videos,), top_k=33))
    assert not (tmp_path / "out").exists()


def test_clips_are_imagined_from_nothing(video_models: Any, tmp_path: Path) -> None:
    out = complete(CompleteOptions.of(**video_models, out=tmp_path, prompt="none", n=3))
    assert np.load(out / "tokens.npy").shape == (1, 3, 32)
    assert (out / "items" / "item_000.mp4").exists()
    row = rows_of(out / "items.csv")[0]
    assert (row["name"], row["source"], row["distance_to_truth"]) == ("imagined", "", "")


def test_images_are_imagined_from_nothing(image_models: Any, tmp_path: Path) -> None:
    out = complete(CompleteOptions.of(**image_models, out=tmp_path, prompt="none", n=3))
    assert np.load(out / "tokens.npy").shape == (1, 3, 16)
    assert (out / "items" / "item_000_entropy.png").exists()


@pytest.mark.parametrize(
    ("options", "length", "given"),
    [
        ({"prompt": "half-image"}, 16, (1, 2, 4)),
        ({"prompt": "rows", "given": 0.75}, 16, (1, 3, 4)),
        ({"prompt": "left", "given": 0.25}, 16, (1, 4, 1)),
        ({"prompt": "first-frame"}, 32, (1, 4, 4)),
    ],
)
def test_images_are_completed_by_models_of_clips(
    options: Any, length: int, given: tuple[int, ...], video_models: Any, images: Path, tmp_path: Path
) -> None:
    out = complete(CompleteOptions.of(**video_models, out=tmp_path, input=(images,), n=1, **options))
    assert np.load(out / "tokens.npy").shape == (3, 1, length)
    assert tuple(record_of(out)["given"].values()) == given


@pytest.mark.parametrize("options", [{"prompt": "left", "given": 0.5}, {"prompt": "frames", "given": 1}])
def test_clips_are_completed_from_other_parts(options: Any, video_models: Any, videos: Path, tmp_path: Path) -> None:
    out = complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), n=1, **options))
    assert np.load(out / "tokens.npy").shape == (3, 1, 32)


@pytest.mark.parametrize("gpt", [GPT_SHORT, GPT_LEGACY, GPT_IMAGEGPT], ids=["rotary", "legacy", "imagegpt"])
def test_clips_become_longer_than_the_window(gpt: GPTConfig, videos: Path, tmp_path: Path) -> None:
    options = {"seconds": 3.0, "n": 1, "items": 1, "overlap": 1}
    out = complete(
        CompleteOptions.of(**save_models(tmp_path, SHORT, gpt), out=tmp_path / "o", input=(videos,), **options)
    )
    assert len(probe_video(out / "items" / "item_000.mp4").timestamps) == 24
    record = record_of(out)
    assert (record["grid"], record["window_starts"]) == ([6, 4, 4], [8, 12, 16, 20])


def test_a_length_without_room_for_a_continuation_is_refused(video_models: Any, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is left to imagine"):
        complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos,), seconds=0.5))


def test_items_are_spread_over_the_input(image_models: Any, images: Path, tmp_path: Path) -> None:
    options = CompleteOptions.of(**image_models, out=tmp_path, input=(images,), prompt="half-image", n=1, items=1)
    assert len(np.load(complete(options) / "tokens.npy")) == 1


@pytest.mark.parametrize("split", ["train", "validation"])
def test_only_items_of_a_split_are_completed(split: Split, image_models: Any, images: Path, tmp_path: Path) -> None:
    training, validation = split_items(find_items(images, make_tokenizer(IMAGE).clip_format)[0])
    expected = training if split == "train" else validation
    options = CompleteOptions.of(**image_models, out=tmp_path, input=(images,), split=split, prompt="half-image", n=1)
    record = record_of(complete(options))
    assert [item["source"] for item in record["items"]] == [item.source.name for item in expected]
    assert (len(training), len(validation)) == (2, 1)


def test_several_inputs_are_one_list(image_models: Any, images: Path, tmp_path: Path) -> None:
    paths = (images / "image_2.png", images / "image_0.png")
    out = complete(CompleteOptions.of(**image_models, out=tmp_path, input=paths, prompt="half-image", n=1))
    assert [item["source"] for item in record_of(out)["items"]] == ["image_2.png", "image_0.png"]


def test_videos_and_images_are_not_mixed(video_models: Any, videos: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="--input names both videos and images"):
        complete(CompleteOptions.of(**video_models, out=tmp_path, input=(videos, images)))


def test_what_is_there_and_where_the_result_lies_is_said(
    image_models: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = make_images(tmp_path / "images")
    (images / "broken.png").write_bytes(b"no image")
    options = {"input": (images,), "prompt": "half-image", "n": 2, "items": 2}
    out = complete(CompleteOptions.of(**image_models, out=tmp_path / "out", **options))
    said = capsys.readouterr()
    lines = said.err.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines[:5])
    assert facts["device"]
    assert facts["items"] == "2 images; 2 continuations each, of 1x4x4 tokens"
    assert facts["skipped"].startswith("1 file: ")
    assert "to 1x4x4 tokens of 32 codes, " in facts["tokenizer"]
    assert facts["gpt"].startswith("2 layers, 2 heads, 16 wide, ")
    assert " parameters, sampled in " in facts["gpt"]
    assert lines[-1] == f"{out / 'index.html'} is ready; next: open it in a browser"
    assert said.out == ""


def test_that_nothing_was_given_is_said(image_models: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(CompleteOptions.of(**image_models, out=tmp_path, prompt="none", n=1))
    assert "items        nothing given; 1 continuation each, of 1x4x4 tokens" in capsys.readouterr().err


def test_resizing_and_rounding_are_said(image_models: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = (make_images(tmp_path / "same", 2, 16), make_images(tmp_path / "large", 1, 20))
    options = {"prompt": "rows", "given": 0.3, "n": 1, "input": paths}
    complete(CompleteOptions.of(**image_models, out=tmp_path / "out", **options))
    said = capsys.readouterr().out.splitlines()
    assert "1 of 3 items is not 16x16 pixels: scaled, and cut to that square." in said
    assert "--given 0.3 of 4 token rows is 1.2: 1 are given." in said


def test_images_that_are_enlarged_are_counted(image_models: Any, tmp_path: Path, capsys: Any) -> None:
    paths = [make_images(tmp_path / str(size), 1, size) for size in (8, 9, 64)]
    complete(CompleteOptions.of(**image_models, out=tmp_path / "out", prompt="half-image", n=1, input=tuple(paths)))
    assert (
        "3 of 3 items are not 16x16 pixels: scaled, and cut to that square. 2 are smaller: enlarged, they are blurred "
        "before the model sees them."
    ) in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("colour", "said"), [(False, True), (True, False)])
def test_it_is_said_that_all_items_are_grey(
    colour: bool, said: bool, image_models: Any, tmp_path: Path, capsys: Any
) -> None:
    images = make_grey_images(tmp_path / "images", 2)
    if colour:
        make_images(images, 1)
    complete(CompleteOptions.of(**image_models, out=tmp_path / "out", prompt="half-image", n=1, input=(images,)))
    expected = "All 2 items that were read are grey: what colours appear in continuations are the model's own."
    assert (expected in capsys.readouterr().out.splitlines()) == said


def test_prompts_that_know_the_rest_are_counted(
    image_models: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"prompt": "half-image", "prompt_encoding": "full", "n": 1}
    out = complete(CompleteOptions.of(**image_models, out=tmp_path, input=(images,), **options))
    share = record_of(out)["prompt_tokens_changed"]
    assert 0 < share <= 1
    assert f"{round(24 * share)} of 24 prompt tokens differ" in capsys.readouterr().out


def test_prompts_of_a_tokenizer_that_looks_ahead_are_counted(videos: Path, tmp_path: Path) -> None:
    make_tats(8).save_pretrained(tmp_path / "tokenizer")
    make_gpt().save_pretrained(tmp_path / "gpt")
    models = {"gpt": tmp_path / "gpt", "tokenizer": tmp_path / "tokenizer"}
    out = complete(CompleteOptions.of(**models, out=tmp_path / "out", input=(videos,), n=1))
    assert 0 < record_of(out)["prompt_tokens_changed"] <= 1


def test_of_a_causal_tokenizer_nothing_is_counted(half_clips: Path) -> None:
    assert record_of(half_clips)["prompt_tokens_changed"] is None


def test_files_that_cannot_be_used_are_listed(image_models: Any, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    (images / "broken.png").write_bytes(b"no image")
    complete(CompleteOptions.of(**image_models, out=tmp_path / "out", input=(images,), prompt="half-image", n=1))
    assert [row["file"] for row in rows_of(tmp_path / "out" / "skipped.csv")] == ["broken.png"]


def lose_last_frame(video: Path) -> None:
    """Turns the last packet into filler: the index still counts its frame, which is missing when it is read."""
    data = bytearray(video.read_bytes())
    offset, size = packet_places(video)[-1]
    data[offset : offset + size] = (size - 4).to_bytes(4, "big") + b"\x0c" + b"\xff" * (size - 6) + b"\x80"
    video.write_bytes(data)


def test_a_video_that_turns_out_damaged_is_left_out(video_models: Any, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 3, frames=8, size=16)
    lose_last_frame(videos / "film_1.mp4")
    out = complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(videos,), n=1, batch=2))
    assert [item["stem"] for item in record_of(out)["items"]] == ["item_000", "item_002"]
    assert [row["file"] for row in rows_of(out / "skipped.csv")] == ["film_1.mp4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 40}, "the GPT knows 40 tokens, these are of 32"),
        ({"grid": (1, 4, 4)}, r"the GPT learned grids of \(1, 4, 4\), these are of \(2, 4, 4\)"),
        ({"tokenizer": "another"}, "the GPT learned the tokens of tokenizer another"),
    ],
)
def test_models_that_do_not_belong_together_are_refused(
    change: dict[str, Any], message: str, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(MismatchError, match=message):
        complete(CompleteOptions.of(**save_models(tmp_path, SHORT, **change), out=tmp_path / "out", input=(videos,)))


def test_half_a_clip_of_an_image_is_refused(image_models: Any, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half a clip cannot be given of a still image"):
        complete(CompleteOptions.of(**image_models, out=tmp_path, input=(images,), prompt="half-clip"))


def test_photos_are_no_clips(video_models: Any, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half a clip cannot be given of a still image: use --prompt half-image"):
        complete(CompleteOptions.of(**video_models, out=tmp_path, input=(images,)))


def test_a_model_of_clips_completes_photos_as_stills(video_models: Any, images: Path, tmp_path: Path) -> None:
    complete(CompleteOptions.of(**video_models, out=tmp_path, input=(images,), prompt="half-image", n=1))
    assert (record_of(tmp_path)["grid"], record_of(tmp_path)["frames"]) == ([1, 4, 4], 1)


def test_a_model_of_stills_takes_single_frames_of_videos(image_models: Any, videos: Path, tmp_path: Path) -> None:
    complete(CompleteOptions.of(**image_models, out=tmp_path, input=(videos,), prompt="half-image", n=1, items=3))
    assert {row["source"] for row in rows_of(tmp_path / "items.csv")} == {f"film_{number}.mp4" for number in range(3)}
    assert not list((tmp_path / "items").glob("*.mp4"))


def test_of_a_folder_of_both_a_model_of_clips_takes_the_videos(video_models: Any, videos: Path, tmp_path: Path) -> None:
    both = make_images(shutil.copytree(videos, tmp_path / "both"), 2)
    complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(both,), n=1))
    assert {row["source"] for row in rows_of(tmp_path / "out" / "items.csv")} == {f"film_{n}.mp4" for n in range(3)}


def test_a_video_shorter_than_a_clip_is_refused(video_models: Any, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 1, frames=4)
    with pytest.raises(
        MediaError,
        match=r"holds no clip of 1\.00 s, its longest stretch of video lasts 0\.50 s: .* a tokenizer of images",
    ):
        complete(CompleteOptions.of(**video_models, out=tmp_path / "out", input=(videos,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "half-clip"}, "--prompt half-clip needs --input"),
        ({"input": (Path("videos"),)}, "--prompt none gives nothing of --input"),
        ({"n": 0}, "--n 0 must be at least 1"),
        ({"items": 0}, "--items 0 must be"),
        ({"batch": 0}, "--batch 0 must be"),
        ({"overlap": 0}, "--overlap 0 must be at least 1"),
        ({"seconds": 0.0}, "--seconds 0 must be positive"),
        (
            {"prompt": "half-image", "input": (Path("images"),), "seconds": 1.0},
            "--prompt half-image makes still images",
        ),
        (
            {"temperature": math.nan},
            "--temperature nan must be a finite number: it must not be negative nor above 1000",
        ),
        ({"temperature": 1e-310}, "--temperature 1e-310 must be 0 or at least 1e-06"),
        ({"given": math.nan}, "--given nan must be a finite number"),
        ({"given": 0.5}, "--given 0.5 belongs to --prompt rows, left or frames"),
        ({"top_k": -1}, "--top-k -1 must not be negative"),
        ({"temperature": -1.0}, "--temperature -1 must not be"),
        ({"top_p": 0.0}, "--top-p 0 must lie in"),
        ({"min_p": 2.0}, "--min-p 2 must lie in"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        CompleteOptions.of(gpt=tmp_path, tokenizer=tmp_path, out=tmp_path, **{"prompt": "none", **options})
