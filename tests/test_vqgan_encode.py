"""Encoding a data set: a store whose tokens are those of the clips."""

import csv
import json
import math
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from holder import held_by_another
from tiny import IMAGE, SHORT, make_images, make_store, make_tokenizer, make_videos

from data.errors import MediaError, TokenStoreError
from data.images import image_to_clip, load_image
from data.items import Item, find_items
from data.sources import Skipped
from data.tokens import TokenStore
from data.video import read_clip
from storage.lock import FolderLockError
from storage.run_folder import RunFolderError
from vqgan import encode as encode_module
from vqgan.augment import crop_names, cut_crops
from vqgan.encode import encode
from vqgan.encoding_plan import LARGEST_SHARD, SMALLEST_SHARD, shard_size
from vqgan.options import EncodeOptions


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"), count=3, frames=16)


@pytest.fixture(scope="module")
def store(videos: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return TokenStore(encode(EncodeOptions(tokenizer, videos, tmp_path_factory.mktemp("store"), workers=1)))


def test_every_clip_of_every_video_is_an_item(store: TokenStore) -> None:
    expected = [(f"film_{number}.mp4", start) for number in range(3) for start in (0.0, 1.0)]
    assert [(item.source, item.start) for item in store.items] == expected


def test_the_tokens_are_those_of_the_clips(store: TokenStore, videos: Path) -> None:
    clips = torch.stack([read_clip(videos / item.source, item.start, 8, 8.0, 16) for item in store.items])
    assert torch.equal(store.read(range(len(store))), make_tokenizer(SHORT).encode(clips).flatten(1))


def test_the_metadata_says_what_the_tokens_are(store: TokenStore) -> None:
    metadata = store.metadata
    found = (metadata.grid, metadata.vocab_size, metadata.tokenizer, metadata.frames, metadata.fps, metadata.size)
    assert found == ((2, 4, 4), 32, make_tokenizer(SHORT).fingerprint, 8, 8.0, 16)


def test_the_metadata_names_the_decoder(store: TokenStore) -> None:
    assert store.metadata.decoder


def test_no_video_is_in_both_splits(store: TokenStore) -> None:
    sources = [{store.items[index].source for index in store.split(split)} for split in ("train", "validation")]
    assert all(sources)
    assert not sources[0] & sources[1]


def test_the_split_is_said_at_the_start(
    videos: Path, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encode(EncodeOptions(tokenizer, videos, tmp_path, workers=0))
    assert "split        4 for training, 2 for validation\n" in capsys.readouterr().err


def test_overlap_adds_shifted_clips(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    store = TokenStore(encode(EncodeOptions(tokenizer, videos, tmp_path, overlap=2, workers=0)))
    assert [item.start for item in store.items[:3]] == [0.0, 0.5, 1.0]


def test_stills_of_videos_can_be_further_apart_than_they_last(image_tokenizer: Path, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", count=2, frames=40)
    store = TokenStore(encode(EncodeOptions(image_tokenizer, videos, tmp_path / "out", every=2.0, workers=0)))
    assert [item.start for item in store.items] == [0.0, 2.0, 4.0] * 2
    clips = torch.stack([read_clip(videos / item.source, item.start, 1, 8.0, 16) for item in store.items])
    assert torch.equal(store.read(range(6)), make_tokenizer(IMAGE).encode(clips).flatten(1))


def test_clips_every_half_length_are_those_of_an_overlap_of_two(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    overlapping = encode(EncodeOptions(tokenizer, videos, tmp_path / "overlap", overlap=2, workers=0))
    assert files(encode(EncodeOptions(tokenizer, videos, tmp_path / "every", every=0.5, workers=0))) == files(
        overlapping
    )


def test_the_batch_does_not_change_the_tokens(store: TokenStore, videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    other = TokenStore(encode(EncodeOptions(tokenizer, videos, tmp_path, batch=1, workers=0)))
    assert torch.equal(other.read(range(6)), store.read(range(6)))


def test_images_are_encoded_as_stills_by_a_tokenizer_of_clips(tokenizer: Path, tmp_path: Path) -> None:
    store = TokenStore(encode(EncodeOptions(tokenizer, make_images(tmp_path / "images"), tmp_path / "out", workers=0)))
    assert store.metadata.grid == (1, 4, 4)


def test_an_image_tokenizer_names_the_decoder_of_videos_too(videos: Path, tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "tokenizer")
    assert TokenStore(
        encode(EncodeOptions(tmp_path / "tokenizer", videos, tmp_path / "out", workers=0))
    ).metadata.decoder


def test_files_that_cannot_be_used_are_listed(tokenizer: Path, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 3)
    make_videos(tmp_path / "more", 1, frames=4)
    (tmp_path / "more" / "film_0.mp4").rename(videos / "short.mp4")
    (videos / "broken.mp4").write_bytes(b"no video")
    encode(EncodeOptions(tokenizer, videos, tmp_path / "out", workers=0))
    with (tmp_path / "out" / "skipped.csv").open() as file:
        assert {row["file"] for row in csv.DictReader(file)} == {"broken.mp4", "short.mp4"}


def test_almost_half_of_the_files_may_be_unusable(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", 3)
    for number in range(3):
        (images / f"broken_{number}.png").write_bytes(b"no image")
    assert len(TokenStore(encode(EncodeOptions(tokenizer, images, tmp_path / "out", workers=0)))) == 3


def test_mostly_unusable_files_stop_it(tokenizer: Path, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 2)
    for number in range(3):
        (videos / f"broken_{number}.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match="3 of 5 files"):
        encode(EncodeOptions(tokenizer, videos, tmp_path / "out", workers=0))


def test_videos_that_break_off_in_the_middle_stop_it_when_they_are_the_most(tokenizer: Path, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 3)
    for number in range(2):
        damage(videos / f"film_{number}.mp4")
    with pytest.raises(MediaError, match=r"4 of 6 clips cannot be read; the first: .*film_0"):
        encode(EncodeOptions(tokenizer, videos, tmp_path / "out", workers=0))


def damage(video: Path) -> None:
    """Overwrites the last two thirds of the image data."""
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 4
    first = start + (len(data) - start) // 3
    data[first:] = bytes(len(data) - first)
    video.write_bytes(data)


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_tokenizer")
    make_tokenizer(IMAGE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough for three shards."""
    return make_images(tmp_path_factory.mktemp("images"), 2 * SMALLEST_SHARD + 10)


@pytest.fixture(scope="module")
def image_store(images: Path, image_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `images`, encoded in one go by one process."""
    return encode(EncodeOptions(image_tokenizer, images, tmp_path_factory.mktemp("image_store"), workers=0))


def files(folder: Path) -> dict[str, bytes]:
    """What a store consists of; the environment may differ between the processes of a test."""
    names = ("metadata.json", "plan.json", "items.jsonl", "skipped.csv", "tokens-*")
    return {path.name: path.read_bytes() for name in names for path in folder.glob(name)}


def written(path: Path) -> tuple[int, int]:
    """Tells a file that was written again from one that was kept."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command without a GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_two_processes_make_the_same_store(
    images: Path, image_tokenizer: Path, image_store: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    launch = (*python, "launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
    options = ("--tokenizer", str(image_tokenizer), "--data", str(images), "--out", str(tmp_path), "--workers", "0")
    done = run(*launch, *python[2:], "secondsight", "vqgan", "encode", *options)
    assert done.returncode == 0, done.stderr
    own = SMALLEST_SHARD + 10  # the first and the last shard
    assert f"Encoding: {own}/{own}" in done.stderr
    assert files(tmp_path) == files(image_store)


DIE_AFTER_A_SHARD = """
import os, signal, sys
import secondsight
from vqgan import encode as module

def write_and_die(*arguments):
    write_record(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

write_record, module.write_record = module.write_record, write_and_die
secondsight.main(["vqgan", "encode", *sys.argv[1:]])
"""


def test_an_encoding_that_was_killed_continues_and_ends_the_same(
    images: Path, image_tokenizer: Path, image_store: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    options = ("--tokenizer", str(image_tokenizer), "--data", str(images), "--out", str(tmp_path), "--workers", "1")
    assert run(*python, "-c", DIE_AFTER_A_SHARD, *options).returncode == -signal.SIGKILL
    with pytest.raises(TokenStoreError, match="no token store"):
        TokenStore(tmp_path)
    first = written(tmp_path / "tokens-00000.bin")
    encode(EncodeOptions(image_tokenizer, images, tmp_path, workers=0, resume="auto"))
    assert written(tmp_path / "tokens-00000.bin") == first
    assert files(tmp_path) == files(image_store)


@pytest.fixture
def copy(image_store: Path, tmp_path: Path) -> Path:
    """A copy of `image_store`."""
    out = tmp_path / "copy"
    out.mkdir()
    for path in filter(Path.is_file, image_store.iterdir()):
        (out / path.name).write_bytes(path.read_bytes())
    return out


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "no record", "half a record"])
def test_a_damaged_shard_is_made_again_and_the_others_are_kept(
    damage: str, images: Path, image_tokenizer: Path, image_store: Path, copy: Path
) -> None:
    shard, record = copy / "tokens-00001.bin", copy / "tokens-00001.json"
    data = shard.read_bytes()
    if damage == "flipped":
        shard.write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    elif damage == "truncated":
        shard.write_bytes(data[:-2])
    elif damage == "missing":
        shard.unlink()
    elif damage == "no record":
        record.unlink()
    else:
        record.write_text(record.read_text()[:50])
    others = [written(copy / f"tokens-0000{number}.bin") for number in (0, 2)]
    encode(EncodeOptions(image_tokenizer, images, copy, workers=0, resume="auto"))
    assert files(copy) == files(image_store)
    assert [written(copy / f"tokens-0000{number}.bin") for number in (0, 2)] == others


def copy_record(source: Path, target: Path) -> None:
    """Copies a shard and its record, under the name of another."""
    target.write_bytes(source.read_bytes())
    record = source.with_suffix(".json").read_text().replace(source.name, target.name)
    target.with_suffix(".json").write_text(record)


@pytest.mark.parametrize("damage", ["another plan's", "another number's", "edited record"])
def test_a_shard_of_something_else_is_made_again_and_that_is_said(
    damage: str,
    images: Path,
    image_tokenizer: Path,
    image_store: Path,
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if damage == "another plan's":
        make_tokenizer(IMAGE, seed=1).save_pretrained(tmp_path / "tokenizer")
        other = encode(EncodeOptions(tmp_path / "tokenizer", images, tmp_path / "other", workers=0))
        copy_record(other / "tokens-00001.bin", copy / "tokens-00001.bin")
    elif damage == "another number's":
        copy_record(copy / "tokens-00000.bin", copy / "tokens-00001.bin")
    else:
        path = copy / "tokens-00001.json"
        path.write_text(path.read_text().replace('"skipped": {}', f'"skipped": {{"{SMALLEST_SHARD}": "gone"}}'))
    encode(EncodeOptions(image_tokenizer, images, copy, workers=0, resume="auto"))
    assert "shard 1 is encoded again: " in capsys.readouterr().err
    assert files(copy) == files(image_store)


def test_a_shard_of_before_that_does_not_fit_its_plan_is_made_again(
    images: Path, image_tokenizer: Path, image_store: Path, copy: Path
) -> None:
    copy_record(copy / "tokens-00000.bin", copy / "tokens-00002.bin")
    without_digests(copy / "tokens-00002.json")
    encode(EncodeOptions(image_tokenizer, images, copy, workers=0, resume="auto"))
    assert files(copy) == files(image_store)


def without_digests(path: Path) -> None:
    """Makes a plan or record one of an earlier version."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if name not in ("sha256", "plan")}))


def test_an_encoding_of_an_earlier_version_is_continued(
    images: Path, image_tokenizer: Path, image_store: Path, copy: Path
) -> None:
    for path in (copy / "plan.json", *copy.glob("tokens-*.json")):
        without_digests(path)
    kept = [written(path) for path in sorted(copy.glob("tokens-*.bin"))]
    encode(EncodeOptions(image_tokenizer, images, copy, workers=0, resume="auto"))
    assert [written(path) for path in sorted(copy.glob("tokens-*.bin"))] == kept
    assert TokenStore(copy).items == TokenStore(image_store).items


@pytest.mark.parametrize(
    "change",
    [
        {"shard_items": 0},
        {"shard_items": "64"},
        {"hop": -1.0},
        {"sources": []},
        {"sources": [{"name": 3, "path": "x", "kind": "image"}]},
        {"skipped": [[]]},
        {"metadata": 7},
        {"unknown": 1},
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_plan_that_was_edited_says_what_to_do(
    change: dict[str, object], sealed: bool, images: Path, image_tokenizer: Path, copy: Path
) -> None:
    path = copy / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    if not sealed:
        without_digests(path)
    with pytest.raises(TokenStoreError, match=r"plan\.json cannot be read .* encode the data again with --overwrite"):
        encode(EncodeOptions(image_tokenizer, images, copy, resume="auto"))


def test_two_do_not_encode_into_one_folder(images: Path, image_tokenizer: Path, image_store: Path, copy: Path) -> None:
    with held_by_another(copy), pytest.raises(FolderLockError):
        encode(EncodeOptions(image_tokenizer, images, copy, workers=0, overwrite=True))
    assert files(copy) == files(image_store)


def test_a_start_that_fails_leaves_no_folder_behind(image_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        encode(EncodeOptions(image_tokenizer, tmp_path / "mistyped", tmp_path / "out", workers=0))
    assert not (tmp_path / "out").exists()


def test_a_continued_encoding_keeps_to_its_plan(images: Path, image_tokenizer: Path, copy: Path) -> None:
    extra = images / "another.png"
    extra.write_bytes((images / "image_0.png").read_bytes())
    try:
        encode(EncodeOptions(image_tokenizer, images, copy, workers=0, resume="auto"))
    finally:
        extra.unlink()
    assert len(TokenStore(copy)) == 2 * SMALLEST_SHARD + 10


def test_a_store_is_not_replaced_unasked(images: Path, image_tokenizer: Path, image_store: Path, copy: Path) -> None:
    with pytest.raises(RunFolderError, match=r"already holds a run: continue it with --resume auto, .* --overwrite"):
        encode(EncodeOptions(image_tokenizer, images, copy, workers=0))
    assert files(copy) == files(image_store)


def test_a_store_is_replaced_on_request(image_tokenizer: Path, copy: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "few", 3)
    store = TokenStore(encode(EncodeOptions(image_tokenizer, images, copy, workers=0, overwrite=True)))
    assert len(store) == 3
    assert [path.name for path in copy.glob("tokens-*.bin")] == ["tokens-00000.bin"]


@pytest.mark.parametrize("changed", ["augment", "every"])
def test_other_tokens_are_not_continued(changed: str, images: Path, image_tokenizer: Path, copy: Path) -> None:
    changes: dict[str, Any] = {"augment": "flip", "every": 2.0}
    chosen = {"tokenizer": image_tokenizer, "data": images, "out": copy, "resume": "auto", changed: changes[changed]}
    with pytest.raises(RunFolderError, match=f"was started with other options \\((no )?--{changed} "):
        encode(EncodeOptions(**chosen))


def test_tokens_of_another_tokenizer_are_not_continued(images: Path, copy: Path, tmp_path: Path) -> None:
    make_tokenizer(IMAGE, seed=1).save_pretrained(tmp_path / "other")
    with pytest.raises(RunFolderError, match=r"was begun with another tokenizer \([\w-]+ -> [\w-]+\): give that one"):
        encode(EncodeOptions(tmp_path / "other", images, copy, resume="auto"))


def test_a_tokenizer_may_have_moved_when_an_encoding_is_continued(
    images: Path, image_store: Path, copy: Path, tmp_path: Path
) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "moved")
    encode(EncodeOptions(tmp_path / "moved", images, copy, workers=0, resume="auto"))
    assert files(copy) == files(image_store)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_is_never_replaced(images: Path, image_tokenizer: Path, overwrite: bool, tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path)
    with pytest.raises(TokenStoreError, match="holds a model or a run and no token store: choose another --out"):
        encode(EncodeOptions(image_tokenizer, images, tmp_path, overwrite=overwrite))
    assert (tmp_path / "model.safetensors").exists()


def test_a_store_that_was_not_encoded_is_not_replaced_unasked(
    images: Path, image_tokenizer: Path, tmp_path: Path
) -> None:
    with pytest.raises(TokenStoreError, match="already holds a token store: replace it with --overwrite"):
        encode(EncodeOptions(image_tokenizer, images, make_store(tmp_path), resume="auto"))


def test_data_that_cannot_be_used_leave_no_encoding_behind(image_tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", 1)
    with pytest.raises(MediaError, match="there is only one"):
        encode(EncodeOptions(image_tokenizer, images, tmp_path / "out", workers=0))
    make_images(images, 2)
    assert len(TokenStore(encode(EncodeOptions(image_tokenizer, images, tmp_path / "out", workers=0)))) == 2


def test_a_damaged_plan_says_what_to_do(images: Path, image_tokenizer: Path, copy: Path) -> None:
    (copy / "plan.json").write_text("{")
    with pytest.raises(TokenStoreError, match=r"plan\.json cannot be read .* encode the data again with --overwrite"):
        encode(EncodeOptions(image_tokenizer, images, copy, resume="auto"))


def test_a_file_on_which_a_worker_hangs_is_skipped(
    image_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_images(tmp_path / "images", 4)

    def find_then_block(*arguments: Any) -> tuple[list[Item], list[Skipped]]:
        items, skipped = find_items(*arguments)
        # Without its stamp the file is not found to be another one before it is opened.
        found = [item._replace(source=replace(item.source, stamp=None)) for item in items], skipped
        (images / "image_1.png").unlink()
        os.mkfifo(images / "image_1.png")  # opening it waits for someone to write
        return found

    monkeypatch.setattr(encode_module, "find_items", find_then_block)
    store = TokenStore(encode(EncodeOptions(image_tokenizer, images, tmp_path / "out", workers=1, timeout=0.3)))
    assert [item.source for item in store.items] == ["image_0.png", "image_2.png", "image_3.png"]
    with (tmp_path / "out" / "skipped.csv").open() as file:
        assert list(csv.DictReader(file)) == [
            {"file": "image_1.png", "reason": "reading it took more than 0.3 s, 2 times", "is_media": "True"}
        ]


def test_ten_crops_are_the_corners_the_centre_and_their_mirrors() -> None:
    clip = torch.arange(3 * 2 * 6 * 6).reshape(3, 2, 6, 6)
    crops = dict(zip(crop_names("ten-crop"), cut_crops(clip, "ten-crop", 4), strict=True))
    assert len(crops) == 10
    assert torch.equal(crops["top left"], clip[:, :, :4, :4])
    assert torch.equal(crops["top right"], clip[:, :, :4, 2:])
    assert torch.equal(crops["bottom left"], clip[:, :, 2:, :4])
    assert torch.equal(crops["bottom right, mirrored"], clip[:, :, 2:, 2:].flip(-1))
    assert torch.equal(crops["centre, mirrored"], clip[:, :, 1:5, 1:5].flip(-1))


@pytest.mark.parametrize(("augment", "read_size"), [("flip", 16), ("ten-crop", 17)])
def test_training_items_are_augmented_on_request(
    augment: Any, read_size: int, image_tokenizer: Path, tmp_path: Path
) -> None:
    images = make_images(tmp_path / "images", 3, size=40)
    options = EncodeOptions(image_tokenizer, images, tmp_path / "out", augment=augment, workers=0, batch=4)
    store, model = TokenStore(encode(options)), make_tokenizer(IMAGE)
    assert store.metadata.augment == augment
    assert store.metadata.augment_size == (0 if augment == "flip" else 17)
    expected, crops = [], []
    for name in sorted({item.source for item in store.items}):
        held_out = name in {store.items[index].source for index in store.split("validation")}
        size, how = (16, "none") if held_out else (read_size, augment)
        clip = image_to_clip(load_image(images / name), size)
        expected += [model.encode(crop[None])[0].flatten() for crop in cut_crops(clip, how, 16)]
        crops += [(name, crop) for crop in crop_names(how)]
    assert [(item.source, item.crop) for item in store.items] == crops
    assert torch.equal(store.read(range(len(store))), torch.stack(expected))


def test_without_augmentation_every_item_is_the_centre(store: TokenStore) -> None:
    assert ({item.crop for item in store.items}, store.metadata.augment) == ({"centre"}, "none")


def test_shards_are_small_in_small_data_sets_and_never_large() -> None:
    assert shard_size(10) == SMALLEST_SHARD
    assert SMALLEST_SHARD < shard_size(100 * SMALLEST_SHARD) < LARGEST_SHARD
    assert shard_size(10**7) == LARGEST_SHARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overlap": 0}, "--overlap 0 must be at least 1"),
        ({"batch": 0}, "--batch 0 must be at least 1"),
        ({"workers": -1}, "--workers -1 must not be negative"),
        ({"timeout": 0.0}, "--timeout 0 must be positive"),
        ({"every": 0.0}, "--every 0 must be at least 0.001"),
        ({"every": -1.0}, "--every -1 must be at least 0.001"),
        ({"every": math.inf}, "--every inf must be a finite number"),
        ({"every": math.nan}, "--every nan must be a finite number"),
        ({"every": 2.0, "overlap": 2}, "--every and --overlap 2 both say where clips begin: give one of them"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        EncodeOptions(tmp_path, tmp_path, tmp_path, **change)


def test_the_options_that_decide_the_tokens_are_recorded(image_store: Path, images: Path) -> None:
    found = json.loads((image_store / "config.json").read_text())
    telling = {name: found[name] for name in ("command", "data", "overlap", "every", "augment")}
    expected = {"command": "vqgan encode", "data": str(images), "overlap": 1, "every": None, "augment": "none"}
    assert telling == expected
