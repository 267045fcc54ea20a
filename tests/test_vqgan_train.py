"""Training a tokenizer: it learns, resumes exactly, and stops where it must."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from tiny import SHORT, make_clips, make_images, make_tokenizer, make_videos

from data.clips import ClipDataset
from data.errors import MediaError
from data.items import Item, split_items
from data.media import catalogue
from data.playroom.make import render_clip
from data.sources import Source
from storage.model_paths import CheckpointError
from storage.places import list_checkpoints
from storage.run_folder import RunFolderError
from training.figures import ENDINGS
from vqgan import train as train_module
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN
from vqgan.options import TrainOptions
from vqgan.train import _advise_preparing, random_crop, train, validate
from vqgan.trainer import TokenizerTrainer

# Eight codes for many more vectors than that: none would ever restart, so there are more codes than vectors.
CONFIG = replace(SHORT, codes=256)
IMAGES = replace(SHORT, frames=1, strides=((1, 2), (1, 1)), codes=256)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


def options(videos: Path, out: Path, config: VQGANConfig = CONFIG, **changes: Any) -> TrainOptions:
    chosen = {"steps": 6, "batch": 2, "continuous_steps": 2, "warmup": 1, "log_every": 1, "save_every": 3}
    return TrainOptions.of(data=videos, out=out, **{**config.flat(), **chosen, **changes})


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_it_overfits_one_batch() -> None:
    config = replace(SHORT, widths=(8, 16, 16), codes=64)
    chosen = options(Path("videos"), Path("run"), config, steps=50, continuous_steps=20, learning_rate=1e-2)
    trainer = TokenizerTrainer(Accelerator(), chosen)
    clips = torch.stack([render_clip(0, number, 16, 8) for number in range(2)])
    losses = [float(trainer.step(clips, step)["loss"]) for step in range(50)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_final_model_is_a_tokenizer_of_the_config_it_was_given(videos: Path, tmp_path: Path) -> None:
    assert VQGAN.from_pretrained(train(options(videos, tmp_path, steps=1))).config == CONFIG


def test_a_resumed_run_ends_with_the_same_weights(videos: Path, tmp_path: Path) -> None:
    whole = train(options(videos, tmp_path / "whole"))
    train(options(videos, tmp_path / "parts"))
    forget_after(tmp_path / "parts", step=3)
    parts = train(options(videos, tmp_path / "parts", resume="auto"))
    first, second = load_file(whole / "model.safetensors"), load_file(parts / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_of_another_tokenizer_is_not_gone_on_from(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path / "run", steps=3))
    train(options(videos, tmp_path / "other", replace(CONFIG, codes=16), steps=3))
    dropped = tmp_path / "run" / "checkpoints" / "000003"
    shutil.rmtree(dropped)
    shutil.copytree(tmp_path / "other" / "checkpoints" / "000003", dropped)
    with pytest.raises(CheckpointError, match=r"000003 is of another model than this run's \(codes: 16, not 256\)"):
        train(options(videos, tmp_path / "run", steps=3, resume="auto"))


def test_a_resumed_run_logs_the_same_metrics(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path / "whole"))
    train(options(videos, tmp_path / "parts"))
    forget_after(tmp_path / "parts", step=3)
    train(options(videos, tmp_path / "parts", resume="auto"))
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def forget_after(run: Path, step: int) -> None:
    """Leaves a run folder as if the run had been killed after the checkpoint of `step`."""
    newest = list_checkpoints(run)[-1]
    assert int(newest.name) > step
    for file in sorted(newest.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    newest.rmdir()
    assert int(list_checkpoints(run)[-1].name) == step


def test_the_same_seed_gives_the_same_tokenizer(videos: Path, tmp_path: Path) -> None:
    runs = [train(options(videos, tmp_path / name, steps=3)) for name in ("a", "b")]
    assert VQGAN.from_pretrained(runs[0]).fingerprint == VQGAN.from_pretrained(runs[1]).fingerprint


def test_a_finished_run_resumed_stays_as_it_is(videos: Path, tmp_path: Path) -> None:
    before = VQGAN.from_pretrained(train(options(videos, tmp_path, steps=3))).fingerprint
    assert VQGAN.from_pretrained(train(options(videos, tmp_path, steps=3, resume="auto"))).fingerprint == before


def test_a_second_run_in_the_same_folder_is_refused(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path, steps=1))
    with pytest.raises(RunFolderError, match="already holds a run"):
        train(options(videos, tmp_path, steps=1))


def test_loss_rate_and_validation_are_logged(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path, steps=1))
    assert {name for line in metrics(tmp_path) for name in line} == {
        "step",
        "loss",
        "learning_rate",
        "psnr_db",
        "codebook_usage",
        "saturation_kept",
        "sharpness_ratio",
        "gradient_norm",
        "epochs",
        "unique_items",
    }


def test_codes_start_after_the_continuous_steps(videos: Path, tmp_path: Path) -> None:
    continuous = train(options(videos, tmp_path / "continuous", steps=2))
    quantized = train(options(videos, tmp_path / "quantized", steps=3))
    assert not VQGAN.from_pretrained(continuous).quantizer.initialised
    assert VQGAN.from_pretrained(quantized).quantizer.initialised


def test_one_short_video_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"is the only video, .* 0\.20 s for validation.* at least two files"):
        train(options(make_videos(tmp_path / "videos", 1), tmp_path / "run"))


def test_two_videos_are_enough(tmp_path: Path) -> None:
    assert train(options(make_videos(tmp_path / "videos", 2), tmp_path / "run", steps=1)).exists()


def test_the_images_it_learned_from_are_listed_without_those_held_out(tmp_path: Path) -> None:
    train(options(make_images(tmp_path / "images", 4), tmp_path / "run", steps=1))
    listed = (tmp_path / "run" / "training_images.csv").read_text().splitlines()[1:]
    digests = {image.sha256: image.name for image in catalogue(tmp_path / "images").sources}
    assert len(listed) == 3
    assert all(digests[sha256] == name for name, sha256 in (line.split(",") for line in listed))


def test_images_train_an_image_tokenizer(tmp_path: Path) -> None:
    final = train(options(make_images(tmp_path / "images"), tmp_path / "run", IMAGES, steps=1))
    assert VQGAN.from_pretrained(final).grid(1, 16, 16) == (1, 4, 4)


def test_files_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 3)
    (videos / "broken.mp4").write_bytes(b"no video")
    train(options(videos, tmp_path / "run", steps=1))
    assert "broken.mp4" in (tmp_path / "run" / "skipped.csv").read_text()


def test_mostly_unusable_files_stop_the_run(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 2)
    for number in range(3):
        (videos / f"broken_{number}.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match="3 of 5 files"):
        train(options(videos, tmp_path / "run"))


def test_a_loss_that_is_no_number_stops_the_run(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="the last checkpoint is kept"):
        train(options(videos, tmp_path, learning_rate=1e38))


@pytest.mark.parametrize("log_every", [1, 100])
def test_weights_that_are_no_numbers_are_never_saved(videos: Path, tmp_path: Path, log_every: int) -> None:
    with pytest.raises(FloatingPointError):
        train(options(videos, tmp_path, learning_rate=1e38, save_every=1, warmup=0, log_every=log_every))
    for checkpoint in list_checkpoints(tmp_path):
        tensors = load_file(checkpoint / "model.safetensors").values()
        assert all(torch.isfinite(tensor).all() for tensor in tensors)


def test_the_last_checkpoint_stays_when_the_loss_is_no_number(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = lambda step, training: 1e38 if step >= 4 else training.learning_rate  # noqa: E731
    monkeypatch.setattr("vqgan.trainer.rate_at", rate)
    with pytest.raises(FloatingPointError):
        train(options(videos, tmp_path, steps=9))
    assert [checkpoint.name for checkpoint in list_checkpoints(tmp_path)] == ["000003"]


def test_random_crops_are_reproducible() -> None:
    clips = make_clips()
    assert torch.equal(random_crop(clips, 8, seed=3), random_crop(clips, 8, seed=3))


def test_random_crops_differ_between_seeds() -> None:
    clips = make_clips()
    assert not all(torch.equal(random_crop(clips, 8, seed=0), random_crop(clips, 8, seed=seed)) for seed in range(4))


@pytest.mark.parametrize("size", [None, 16, 32])
def test_a_crop_no_smaller_than_the_clip_leaves_it_whole(size: int | None) -> None:
    assert random_crop(make_clips(), size, seed=0) is not None
    assert torch.equal(random_crop(make_clips(), size, seed=0), make_clips())


def test_a_run_can_train_on_crops(videos: Path, tmp_path: Path) -> None:
    assert train(options(videos, tmp_path, steps=1, crop=8)).exists()


def test_validation_leaves_the_model_in_training_mode() -> None:
    model = make_tokenizer(SHORT).train()
    validate(model, make_clips(2, 8), batch=1)
    assert model.training


def test_validation_does_not_depend_on_the_batch() -> None:
    model, clips = make_tokenizer(SHORT), make_clips(3, 8)
    assert validate(model, clips, batch=1) == pytest.approx(validate(model, clips, batch=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "--steps 0 must be at least 1"),
        ({"log_every": 0}, "--log-every 0 must be at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate 0 must be positive"),
        ({"crop": 6}, "--crop 6 must be a multiple"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        options(tmp_path, tmp_path, **change)


def test_a_file_that_turns_unreadable_in_training_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_images(tmp_path / "images", count=4)
    found = train_module.find_items

    def find_then_damage(*arguments: Any, **options: Any) -> Any:
        """List the files as usual; then one is cut short, as by a failing disk."""
        items, skipped = found(*arguments, **options)
        training = split_items(items)[0]
        training[0].source.path.write_bytes(b"")
        return items, skipped

    monkeypatch.setattr(train_module, "find_items", find_then_damage)
    train(options(images, tmp_path / "run", IMAGES))
    assert len((tmp_path / "run" / "skipped.csv").read_text().splitlines()) == 2


def test_the_curves_are_drawn_at_the_end(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDINGS, "png")
    train(options(videos, tmp_path, steps=1))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("waiting", "prepared", "said"), [(0.5, None, True), (0.1, None, False), (0.5, 0, False)])
def test_a_training_that_waits_for_videos_is_told_of_preparing(
    waiting: float, prepared: int | None, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source("a.mp4", tmp_path / "a.mp4", "video", seconds=9, prepared=prepared)
    dataset = ClipDataset([Item(source, 0.0)], SHORT.clip_format)
    assert _advise_preparing(waiting, options(tmp_path / "videos", tmp_path / "run"), dataset) == said
    text = capsys.readouterr().err
    assert ("50% of the time goes into reading videos" in text) == said
    assert (f"secondsight data prepare {tmp_path / 'videos'} --out SHARDS --size 160 --fps 8" in text) == said


def test_clips_without_colour_or_edges_are_validated_without_shares_of_them() -> None:
    scores = validate(make_tokenizer(SHORT), torch.zeros(2, 3, 8, 16, 16), 2)
    assert scores.keys() == {"psnr_db", "codebook_usage"}


def test_a_perfect_reconstruction_is_validated_with_finite_metrics() -> None:
    """Of a tokenizer that decodes zeros, clips of zeros."""
    model = make_tokenizer(SHORT)
    torch.nn.init.zeros_(model.decoder.last.weight)
    torch.nn.init.zeros_(model.decoder.last.bias)
    assert validate(model, torch.zeros(2, 3, 8, 16, 16), 2)["psnr_db"] == 100
