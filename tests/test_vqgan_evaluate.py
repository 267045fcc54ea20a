"""Evaluating a tokenizer: files, their numbers, and the order of the pictures."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import SHORT, make_clips, make_films, make_images, make_palette, make_tokenizer

from vqgan import evaluate as module
from vqgan.config import EvaluateOptions
from vqgan.evaluate import ItemScore, draw_reconstructions, evaluate, reconstruct
from vqgan.metrics import psnr
from vqgan.reading import clip_format, find_items, read_batches


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def out(films: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    evaluate(EvaluateOptions(tokenizer, films, folder))
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "items.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_promised_files_are_written(out: Path) -> None:
    assert {path.name for path in out.iterdir()} == {"metrics.json", "items.csv", "skipped.csv", "reconstructions.png"}


def test_every_clip_has_a_row(out: Path) -> None:
    assert [(row["source"], float(row["start"])) for row in rows(out)] == [
        (f"film_{number}.mp4", start) for number in range(3) for start in (0.0, 1.0)
    ]


def test_a_row_holds_the_psnr_of_its_clip(out: Path, films: Path) -> None:
    model = make_tokenizer(SHORT)
    items, _ = find_items(films, clip_format(model))
    ((_, clips),) = read_batches(items, clip_format(model), 6, [])
    expected = psnr(model.decode(model.encode(clips)), clips)
    assert [float(row["psnr_db"]) for row in rows(out)] == pytest.approx(expected.tolist())


def test_the_metrics_are_the_means_of_the_rows(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    for name in ("psnr_db", "ssim"):
        assert metrics[name] == pytest.approx(sum(float(row[name]) for row in rows(out)) / 6)


def test_usage_and_perplexity_are_reported(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert 1 <= metrics["perplexity"] <= 32 * metrics["codebook_usage"] <= 32


def test_no_perceptual_distance_is_reported_when_there_is_none(out: Path) -> None:
    assert "perceptual" not in json.loads((out / "metrics.json").read_text())


def test_only_validation_films_are_measured_when_asked(films: Path, tokenizer: Path, tmp_path: Path) -> None:
    evaluate(EvaluateOptions(tokenizer, films, tmp_path, part="validation"))
    assert len({row["source"] for row in rows(tmp_path)}) == 1


def test_the_perceptual_distance_is_reported(films: Path, tokenizer: Path, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "net.safetensors")
    spec = f"timm:test_resnet:{tmp_path / 'net.safetensors'}"
    assert evaluate(EvaluateOptions(tokenizer, films, tmp_path / "out", perceptual=spec))["perceptual"] > 0


def test_stills_are_measured_by_a_tokenizer_of_clips(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    assert evaluate(EvaluateOptions(tokenizer, images, tmp_path / "out"))["items"] == 3


def test_a_palette_is_measured(tmp_path: Path) -> None:
    make_palette(size=16).save_pretrained(tmp_path / "palette")
    images = make_images(tmp_path / "images")
    assert evaluate(EvaluateOptions(tmp_path / "palette", images, tmp_path / "out"))["psnr_db"] > 5


def test_a_still_is_the_last_frame_of_its_latent_frame() -> None:
    model = make_tokenizer(SHORT)
    tokens = model.encode(make_clips(2, 1))
    assert torch.equal(reconstruct(model, tokens, 1), model.decode(tokens)[:, :, 3:])


@pytest.mark.parametrize(("count", "shown"), [(3, [2, 1, 0]), (16, [15, 13, 11, 9, 7, 5, 3, 1])])
def test_pictures_go_from_the_best_to_the_worst(count: int, shown: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    captions: list[str] = []
    monkeypatch.setattr(
        module, "draw_grid", lambda rows: captions.extend(row[0].caption for row in rows) or Image.new("RGB", (1, 1))
    )
    scores = [ItemScore(f"item{number}", 0.0, float(number), 0.0, None) for number in range(count)]
    clip = torch.zeros(3, 1, 4, 4)
    draw_reconstructions(scores, [(clip, clip)] * count)
    assert captions == [f"original item{number}: {number:.1f} dB" for number in shown]
