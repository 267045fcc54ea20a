"""Prepared shards give the clips that the videos give, however they were made, and are read by other programs too."""

import io
import json
import os
import resource
import signal
import socket
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import media_kinds as kinds
import numpy as np
import pytest
import torch
from field_pictures import field_pictures
from media import make_video, noise, numbers
from PIL import Image

from data import preparation_plan
from data import prepare as prepare_module
from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.errors import MediaError
from data.items import Item, find_items, split_items
from data.options import PrepareOptions
from data.preparation_plan import plan_shards
from data.prepare import PrepareError, prepare
from data.prepared import ROW_BEFORE, open_prepared
from data.sources import Source, Stretch
from storage.lock import FolderLockError
from storage.run_folder import RunFolderError, open_run
from training.order import SampleIndex

FORM = ClipFormat(frames=8, fps=8, size=40)


def moving(number: int) -> np.ndarray:
    return np.roll(noise(0), 2 * number, axis=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos: at 25, 8 and 30 frames per second, one with a gap, one of field pictures in a stream."""
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "a.mp4", count=100, fps=25, gop=30, image=moving)
    make_video(folder / "b.mp4", count=24, fps=8, image=moving)
    (folder / "c").mkdir()
    make_video(folder / "c" / "d.mkv", count=90, fps=30, image=moving)
    kinds.clock_jump(folder / "e.mp4", jump=50)
    field_pictures(folder / "f.ts")
    (folder / "broken.mp4").write_bytes(b"no video " * 99)
    return folder


@pytest.fixture(scope="module")
def lossless(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(options(videos, tmp_path_factory.mktemp("lossless")))


def options(videos: Path, out: Path, **values: Any) -> PrepareOptions:
    return PrepareOptions(**{"path": videos, "out": out, "size": 40, "format": "png", "workers": 0, **values})


def clips(data: Path, form: ClipFormat = FORM, seed: int | None = None) -> dict[tuple[str, float], torch.Tensor]:
    items, _ = find_items(data, form)
    dataset = ClipDataset(items, form)
    return {(item.source.name, item.start): dataset.read(item, seed) for item in items}


def files(folder: Path) -> dict[str, bytes]:
    left_out = {"config.json", "environment.json", "plan.json"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in left_out}


# The same clips


def test_lossless_shards_give_the_clips_of_the_videos_bit_for_bit(videos: Path, lossless: Path) -> None:
    raw, prepared = clips(videos), clips(lossless)
    assert len(raw) > 10
    assert raw.keys() == prepared.keys()
    assert all(torch.equal(raw[key], prepared[key]) for key in raw)


@pytest.mark.parametrize("seed", range(5))
def test_random_clips_are_the_same_too(videos: Path, lossless: Path, seed: int) -> None:
    raw, prepared = clips(videos, seed=seed), clips(lossless, seed=seed)
    assert all(torch.equal(raw[key], prepared[key]) for key in raw)


@pytest.mark.parametrize("form", [ClipFormat(4, 4, 40), ClipFormat(1, 8, 40), ClipFormat(3, 8 / 3, 40)])
def test_a_whole_fraction_of_the_frames_gives_the_same_clips(videos: Path, lossless: Path, form: ClipFormat) -> None:
    raw, prepared = clips(videos, form), clips(lossless, form)
    assert raw.keys() == prepared.keys()
    assert all(torch.equal(raw[key], prepared[key]) for key in raw)


def test_smaller_clips_differ_little(videos: Path, lossless: Path) -> None:
    form = replace(FORM, size=20)
    raw, prepared = clips(videos, form), clips(lossless, form)
    assert max((raw[key] - prepared[key]).abs().mean().item() for key in raw) < 0.15


def test_jpeg_differs_by_a_level_or_two(videos: Path, tmp_path: Path) -> None:
    raw, prepared = clips(videos), clips(prepare(options(videos, tmp_path, format="jpeg")))
    differences = [127.5 * (raw[key] - prepared[key]).abs().mean().item() for key in raw]
    assert 0 < max(differences) < 3


def test_the_split_is_that_of_the_videos(videos: Path, lossless: Path) -> None:
    names = [
        [{item.source.name for item in items} for items in split_items(find_items(data, FORM)[0])]
        for data in (videos, lossless)
    ]
    assert names[0] == names[1]


def test_what_cannot_be_used_is_listed(lossless: Path) -> None:
    text = (lossless / "skipped.csv").read_text()
    assert "broken.mp4" in text
    assert str(lossless.parent) not in text


# Formats that are not there


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (ClipFormat(8, 16, 40), "prepared with 8 frames per second, clips ask for 16: .* --fps 16"),
        (ClipFormat(8, 5, 40), "clips ask for 5: .* --fps 5"),
        (ClipFormat(8, 8, 64), "short side of 40 pixels, clips ask for 64: .* --size 64"),
    ],
)
def test_clips_that_were_not_prepared_are_refused(lossless: Path, form: ClipFormat, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        find_items(lossless, form)


def test_clips_begin_at_prepared_frames(lossless: Path) -> None:
    with pytest.raises(MediaError, match=r"multiple of 0\.125 s, not every 0\.3 s"):
        find_items(lossless, FORM, hop=0.3)


def test_a_small_video_keeps_its_size(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", count=16)
    out = prepare(options(tmp_path / "videos", tmp_path / "out", size=160))
    with tarfile.open(out / "shard-00000.tar") as shard:
        image = shard.extractfile("000000/00000003.png")
        assert image is not None
        assert Image.open(io.BytesIO(image.read())).size == (64, 48)


# Shards


def test_a_sample_is_an_image_with_its_source_time_and_group(lossless: Path) -> None:
    with tarfile.open(lossless / "shard-00000.tar") as shard:
        names = shard.getnames()
        facts = json.loads(shard.extractfile("000001/00000004.json").read())  # type: ignore[union-attr]
    assert facts == {"source": "b.mp4", "time": 0.5, "group": "b.mp4"}
    assert names.index("000001/00000004.png") == names.index("000001/00000004.json") + 1


def test_an_image_that_stays_on_display_is_stored_once(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "slow.mp4", count=10, fps=2)
    out = prepare(options(tmp_path / "videos", tmp_path / "out"))
    assert open_prepared(out).metadata.frames == 10
    ((_, clip),) = [one for one in clips(out).items() if one[0][1] == 2.0]
    assert numbers(clip) == [4] * 4 + [5] * 4


def test_a_plan_covers_every_frame_once() -> None:
    sources = [
        Source("a", Path("a"), "video", seconds=300.0, gaps=(Stretch(100.0, 150.0),)),
        Source("b", Path("b"), "video", seconds=1.0),
        Source("c", Path("c"), "video", seconds=90.0, windows=(Stretch(10.0, 20.0), Stretch(30.0, 31.5))),
    ]
    shards = plan_shards(sources, fps=8)
    assert all(sum(piece.end - piece.begin for piece in pieces) <= 512 for pieces in shards)
    covered = [(p.video, frame) for pieces in shards for p in pieces for frame in range(p.begin, p.end)]
    assert len(covered) == len(set(covered))
    assert covered == sorted(covered)
    assert {(0, 0), (0, 799), (0, 1200), (0, 2399), (1, 7), (2, 80), (2, 159), (2, 240), (2, 251)} <= set(covered)
    assert {(0, 900), (2, 79), (2, 200)}.isdisjoint(covered)


def test_workers_make_the_same_shards(videos: Path, lossless: Path, tmp_path: Path) -> None:
    assert files(prepare(options(videos, tmp_path, workers=2))) == files(lossless)


# Stopping and resuming


def test_a_finished_preparation_is_not_repeated_unasked(videos: Path, tmp_path: Path) -> None:
    prepare(options(videos, tmp_path))
    with pytest.raises(RunFolderError, match="--resume auto"):
        prepare(options(videos, tmp_path))
    before = files(tmp_path)
    prepare(options(videos, tmp_path, resume="auto"))
    prepare(options(videos, tmp_path, overwrite=True))
    assert files(tmp_path) == before


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_mistyped_videos_leave_no_folder(tmp_path: Path, resume: Any) -> None:
    with pytest.raises(MediaError):
        prepare(PrepareOptions(tmp_path / "mistyped", tmp_path / "shards", resume=resume))
    assert list(tmp_path.iterdir()) == []


def test_a_preparation_that_was_never_planned_is_begun_with_other_options(videos: Path, tmp_path: Path) -> None:
    wanted = options(videos, tmp_path)
    open_run(tmp_path, wanted.changed(size=16))
    assert files(prepare(wanted))


def test_overwriting_waits_until_the_videos_are_found(videos: Path, tmp_path: Path) -> None:
    before = files(prepare(options(videos, tmp_path)))
    with pytest.raises(MediaError):
        prepare(options(tmp_path / "mistyped", tmp_path, overwrite=True))
    assert files(tmp_path) == before


def test_shards_without_a_record_of_how_they_were_made_are_not_taken_for_these(videos: Path, tmp_path: Path) -> None:
    prepare(options(videos, tmp_path))
    (tmp_path / "config.json").unlink()
    with pytest.raises(RunFolderError, match=r"no config\.json that tells .*--overwrite"):
        prepare(options(videos, tmp_path, resume="auto"))


def test_other_options_are_another_preparation(videos: Path, tmp_path: Path) -> None:
    prepare(options(videos, tmp_path))
    with pytest.raises(RunFolderError, match="--size 40 -> 32"):
        prepare(options(videos, tmp_path, size=32, resume="auto"))


KILLED = """
import os, signal, sys
from pathlib import Path
from data import preparation_plan, prepare
from data.options import PrepareOptions
from storage.files import temporary_path
preparation_plan.SHARD_FRAMES = 16
original = prepare._write
written = 0
def write(path, content):
    global written
    written += 1
    if written > int(sys.argv[3]):
        temporary_path(path).write_bytes(content[:100])
        os.kill(os.getpid(), signal.SIGKILL)
    original(path, content)
prepare._write = write
prepare.prepare(PrepareOptions(Path(sys.argv[1]), Path(sys.argv[2]), size=40, format="png", workers=0, resume="auto"))
"""


def test_a_preparation_that_is_killed_again_and_again_ends_with_the_same_bytes(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: tuple[str, ...]
) -> None:
    for _ in range(2):
        command = [*python, "-c", KILLED, str(videos), str(tmp_path / "killed"), "5"]
        killed = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    monkeypatch.setattr(preparation_plan, "SHARD_FRAMES", 16)
    whole = files(prepare(options(videos, tmp_path / "whole")))
    resumed = files(prepare(options(videos, tmp_path / "killed", resume="auto")))
    assert resumed == whole


def test_two_preparations_into_one_folder_are_refused(videos: Path, tmp_path: Path) -> None:
    owner = {"host": socket.gethostname(), "process": os.getppid(), "since": "now"}
    (tmp_path / "writing.lock").write_text(json.dumps(owner))
    with pytest.raises(FolderLockError, match="is being written into by process"):
        prepare(options(videos, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["writing.lock"]


def test_a_full_disk_stops_with_what_to_do_and_loses_nothing(videos: Path, tmp_path: Path, lossless: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(PrepareError, match=r"cannot be written .*--resume auto"):
            prepare(options(videos, tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "prepared.json").exists()
    kept = files(prepare(options(videos, tmp_path, resume="auto")))
    assert kept == files(lossless)


def test_a_video_that_is_replaced_meanwhile_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_video(tmp_path / "videos" / name, count=16)
    wanted = options(tmp_path / "videos", tmp_path / "out")
    found = prepare_module._open(wanted)
    make_video(tmp_path / "videos" / "b.mp4", count=8)
    assert len(found[0]) == 3
    out = prepare(wanted.changed(resume="auto"))
    assert "b.mp4 was replaced or changed" in (out / "skipped.csv").read_text()
    items, _ = find_items(out, FORM)
    broken = Item(next(item.source for item in items if item.source.name == "b.mp4"), 0.0)
    with pytest.raises(MediaError, match="could not be decoded when it was prepared"):
        ClipDataset([broken], FORM).read(broken)


# Damage


@pytest.mark.parametrize("name", ["prepared.json", "videos.jsonl", "index.npy", "shard-00000.tar"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_shards_are_named(videos: Path, lossless: Path, tmp_path: Path, name: str, damage: str) -> None:
    for path in lossless.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if damage == "cut":
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match=r"damaged|cannot be read|not finished"):
        clips(tmp_path)


def copy_of(lossless: Path, folder: Path) -> Path:
    for path in filter(Path.is_file, lossless.iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def change_a_pixel(folder: Path) -> None:
    """Draws another image over the first, of as many bytes."""
    shard = folder / "shard-00000.tar"
    content = bytearray(shard.read_bytes())
    content[content.index(b"IEND") - 20] ^= 1
    shard.write_bytes(content)


def swap_two_shards(folder: Path) -> None:
    first = (folder / "shard-00000.tar").read_bytes()
    (folder / "shard-00000.tar").write_bytes((folder / "shard-00001.tar").read_bytes())
    (folder / "shard-00001.tar").write_bytes(first)


def swap_two_videos(folder: Path) -> None:
    path = folder / "videos.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]))


def change_a_row(folder: Path) -> None:
    index = np.load(folder / "index.npy")
    index["frame"][1] += 1
    np.save(folder / "index.npy", index)


def change_the_fps(folder: Path) -> None:
    path = folder / "prepared.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fps": 4.0}))


def claim_many_rows(folder: Path) -> None:
    with (folder / "index.npy").open("wb") as file:
        header = {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)}
        np.lib.format.write_array_header_1_0(file, header)


def be_a_pipe(folder: Path) -> None:
    (folder / "videos.jsonl").unlink()
    os.mkfifo(folder / "videos.jsonl")


EDITS = [
    change_a_pixel,
    swap_two_shards,
    swap_two_videos,
    change_a_row,
    change_the_fps,
    claim_many_rows,
    be_a_pipe,
]


@pytest.mark.parametrize("edit", EDITS)
def test_prepared_shards_that_were_edited_are_noticed(
    edit: Callable[[Path], None], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation_plan, "SHARD_FRAMES", 64)
    folder = prepare(options(videos, tmp_path))
    edit(folder)
    with pytest.raises(MediaError, match=r"damaged|is not what was written") as caught:
        clips(folder)
    assert "\n" not in str(caught.value)


def test_prepared_shards_of_an_earlier_version_are_read(videos: Path, lossless: Path, tmp_path: Path) -> None:
    folder = copy_of(lossless, tmp_path)
    path = folder / "prepared.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if "sha256" not in name}))
    index = np.load(folder / "index.npy")
    np.save(folder / "index.npy", index[list(ROW_BEFORE.names or ())].astype(ROW_BEFORE))
    before = clips(lossless)
    assert all(clip.equal(before[name]) for name, clip in clips(folder).items())


@pytest.mark.parametrize("damage", ["shard", "record", "another's record"])
def test_a_damaged_shard_is_made_again_when_a_preparation_goes_on(
    damage: str,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    python: tuple[str, ...],
) -> None:
    monkeypatch.setattr(preparation_plan, "SHARD_FRAMES", 16)
    whole = files(prepare(options(videos, tmp_path / "whole")))
    command = [*python, "-c", KILLED, str(videos), str(tmp_path / "killed"), "5"]
    subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    first = tmp_path / "killed" / "shard-00000.npz"
    if damage == "another's record":
        first.write_bytes(first.with_name("shard-00001.npz").read_bytes())
    else:
        path = first.with_suffix(".tar") if damage == "shard" else first
        content = path.read_bytes()
        path.write_bytes(content[:600] + b"damage" + content[606:])
    resumed = files(prepare(options(videos, tmp_path / "killed", resume="auto")))
    assert "shard-00000.tar cannot be kept (" in capsys.readouterr().err
    assert {name: content for name, content in resumed.items() if not name.endswith(".tmp")} == whole


def test_prepared_shards_are_not_prepared_again(lossless: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds prepared shards already"):
        prepare(options(lossless, tmp_path))


def test_training_reads_them_in_the_order_of_draws(lossless: Path) -> None:
    dataset = ClipDataset(find_items(lossless, FORM)[0], FORM)
    sample = dataset[SampleIndex(2, 7)]
    assert sample.skipped == ()
    assert torch.equal(sample.clip, dataset[SampleIndex(2, 7)].clip)
