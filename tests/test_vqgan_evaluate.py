"""Evaluating a tokenizer: files, their numbers, and the order of the images."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import make_network, make_vgg
from PIL import Image
from tiny import SHORT, make_images, make_palette, make_tokenizer, make_videos

from data.clips import read_batches
from data.drawing import CAPTION, MARGIN
from data.items import Item, find_items
from data.sources import Source
from vqgan.evaluate import ItemScore, best_to_worst, evaluate
from vqgan.metrics.colour import chroma_error, chroma_plane, mean_chroma, mean_gradient
from vqgan.metrics.i3d import I3D
from vqgan.metrics.reconstruction import psnr
from vqgan.options import EvaluateOptions
from vqgan.palette import Palette


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def out(videos: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    evaluate(EvaluateOptions(tokenizer, videos, folder))
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "items.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_promised_files_are_written(out: Path) -> None:
    names = {"metrics.json", "items.csv", "skipped.csv", "reconstructions.png", "listing"}
    assert {path.name for path in out.iterdir()} == names


def test_every_clip_has_a_row(out: Path) -> None:
    assert [(row["source"], float(row["start"])) for row in rows(out)] == [
        (f"film_{number}.mp4", start) for number in range(3) for start in (0.0, 1.0)
    ]


def test_a_row_holds_the_psnr_of_its_clip(out: Path, videos: Path) -> None:
    model = make_tokenizer(SHORT)
    items, _ = find_items(videos, model.clip_format)
    ((_, clips),) = read_batches(items, model.clip_format, 6, [])
    expected = psnr(model.decode(model.encode(clips)), clips)
    assert [float(row["psnr_db"]) for row in rows(out)] == pytest.approx(expected.tolist())


def test_the_metrics_are_the_means_of_the_rows(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    for name in ("psnr_db", "ssim", "chroma_error"):
        assert metrics[name] == pytest.approx(sum(float(row[name]) for row in rows(out)) / 6)


def test_a_row_holds_what_its_clip_keeps_of_colour_and_sharpness(out: Path, videos: Path) -> None:
    model = make_tokenizer(SHORT)
    items, _ = find_items(videos, model.clip_format)
    ((_, clips),) = read_batches(items, model.clip_format, 6, [])
    decoded = model.decode(model.encode(clips))
    made, original = chroma_plane(decoded), chroma_plane(clips)
    expected = {
        "chroma_error": chroma_error(made, original),
        "chroma": mean_chroma(original),
        "saturation_kept": mean_chroma(made) / mean_chroma(original),
        "gradient": mean_gradient(clips),
        "sharpness_ratio": mean_gradient(decoded) / mean_gradient(clips),
    }
    for name, values in expected.items():
        assert [float(row[name]) for row in rows(out)] == pytest.approx(values.tolist(), rel=1e-4)


@pytest.mark.parametrize(("share", "of"), [("saturation_kept", "chroma"), ("sharpness_ratio", "gradient")])
def test_shares_over_all_are_ratios_of_means(out: Path, share: str, of: str) -> None:
    pairs = [(float(row[share]), float(row[of])) for row in rows(out)]
    expected = sum(kept * there for kept, there in pairs) / sum(there for _, there in pairs)
    assert json.loads((out / "metrics.json").read_text())[share] == pytest.approx(expected)


def test_usage_and_perplexity_are_reported(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert 1 <= metrics["perplexity"] <= 32 * metrics["codebook_usage"] <= 32


def test_no_perceptual_distance_is_reported_when_there_is_none(out: Path) -> None:
    assert "perceptual" not in json.loads((out / "metrics.json").read_text())


def test_only_validation_videos_are_measured_when_asked(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    evaluate(EvaluateOptions(tokenizer, videos, tmp_path, split="validation"))
    assert len({row["source"] for row in rows(tmp_path)}) == 1


def test_the_perceptual_distance_is_reported(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    spec = f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}"
    metrics = evaluate(EvaluateOptions(tokenizer, videos, tmp_path / "out", perceptual=spec))
    column = [float(row["perceptual"]) for row in rows(tmp_path / "out")]
    assert metrics["perceptual"] == pytest.approx(sum(column) / 6)
    assert min(column) > 0


def test_only_the_distance_of_lpips_is_called_so(
    videos: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_vgg(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    metrics = evaluate(EvaluateOptions(tokenizer, videos, tmp_path / "out", split="validation", perceptual="lpips"))
    assert metrics["lpips"] == pytest.approx(sum(float(row["lpips"]) for row in rows(tmp_path / "out")) / 2)
    assert "perceptual" not in {*metrics, *rows(tmp_path / "out")[0]}


def test_rates_of_a_fixed_code_and_of_the_entropy_are_reported(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["rate_bits_per_pixel"] == 5 * (2 * 4 * 4) / (8 * 16 * 16)
    assert metrics["rate_bits_per_pixel_entropy"] == pytest.approx(
        math.log2(metrics["perplexity"]) * (2 * 4 * 4) / (8 * 16 * 16)
    )


def test_the_frechet_distance_is_reported_by_the_name_of_its_features(
    videos: Path, tokenizer: Path, tmp_path: Path
) -> None:
    spec = f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}"
    metrics = evaluate(EvaluateOptions(tokenizer, videos, tmp_path / "out", split="validation", frechet=spec))
    assert metrics["frechet_test_resnet"] > 0


def test_the_video_distance_is_reported(tmp_path: Path) -> None:
    make_tokenizer(replace(SHORT, frames=12)).save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    torch.save(I3D().state_dict(), tmp_path / "i3d.pt")
    videos, fvd = make_videos(tmp_path / "videos", 2), tmp_path / "i3d.pt"
    assert evaluate(EvaluateOptions(tmp_path / "tokenizer", videos, tmp_path / "out", fvd=fvd))["rfvd"] > 0


def test_the_video_distance_of_stills_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    with pytest.raises(ValueError, match="--fvd compares clips of at least 9 frames, and these are stills"):
        evaluate(EvaluateOptions(tokenizer, images, tmp_path / "out", fvd=tmp_path / "i3d.pt"))


def test_stills_are_measured_by_a_tokenizer_of_clips(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    assert evaluate(EvaluateOptions(tokenizer, images, tmp_path / "out"))["items"] == 3


def test_a_palette_is_measured(tmp_path: Path) -> None:
    make_palette(size=16).save_pretrained(tmp_path / "palette")
    images = make_images(tmp_path / "images")
    assert evaluate(EvaluateOptions(tmp_path / "palette", images, tmp_path / "out"))["psnr_db"] > 5


@pytest.fixture(scope="module")
def perfect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation of images of 8 pixels a side that a palette holds every colour of."""
    folder = tmp_path_factory.mktemp("perfect")
    colours = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    Palette(colours, 8).eval().save_pretrained(folder / "palette")
    (folder / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8), "white" if number else "black").save(folder / "images" / f"{number}.png")
    evaluate(EvaluateOptions(folder / "palette", folder / "images", folder / "out"))
    return folder


def test_a_perfect_reconstruction_has_the_highest_psnr(perfect: Path) -> None:
    assert json.loads((perfect / "out" / "metrics.json").read_text())["psnr_db"] == 100


def test_grey_and_flat_items_have_no_share_of_colour_or_sharpness_that_is_kept(perfect: Path) -> None:
    assert {(row["saturation_kept"], row["sharpness_ratio"]) for row in rows(perfect / "out")} == {("", "")}
    metrics = json.loads((perfect / "out" / "metrics.json").read_text())
    assert not {"saturation_kept", "sharpness_ratio"} & metrics.keys()


def test_a_perfect_reconstruction_has_no_error_of_chroma(perfect: Path) -> None:
    assert json.loads((perfect / "out" / "metrics.json").read_text())["chroma_error"] == 0


def test_clips_too_small_for_ssim_have_an_empty_column(perfect: Path) -> None:
    assert {row["ssim"] for row in rows(perfect / "out")} == {""}


def test_clips_too_small_for_ssim_have_no_mean_of_it(perfect: Path) -> None:
    assert "ssim" not in json.loads((perfect / "out" / "metrics.json").read_text())


def test_clips_too_small_for_ssim_are_said_to_be(perfect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(EvaluateOptions(perfect / "palette", perfect / "images", perfect / "again"))
    said = capsys.readouterr().err
    assert said.count("warning: ssim is left out: its windows have 11 pixels a side, these clips 8\n") == 1


def test_images_too_small_for_lpips_are_refused_before_the_work(
    perfect: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_vgg(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="--perceptual lpips needs images of 16 pixels a side, and these have 8"):
        evaluate(EvaluateOptions(perfect / "palette", perfect / "images", tmp_path / "out", perceptual="lpips"))
    assert not (tmp_path / "out").exists()


def test_one_image_has_no_spread_and_is_refused_before_the_work(perfect: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    spec = f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}"
    with pytest.raises(ValueError, match="frechet_test_resnet compares spreads and needs at least 2 images, not 1"):
        evaluate(EvaluateOptions(perfect / "palette", tmp_path, tmp_path / "out", frechet=spec))
    assert not (tmp_path / "out" / "metrics.json").exists()


def score_of(source: str, psnr_db: float) -> ItemScore:
    kept = {"chroma_error": 0.0, "chroma": 0.0, "saturation_kept": None, "gradient": 0.0, "sharpness_ratio": None}
    return ItemScore(source, 0.0, psnr_db, ssim=0.0, perceptual=None, **kept)


@pytest.mark.parametrize(("count", "shown"), [(1, [0]), (3, [2, 1, 0]), (15, [14, 12, 10, 8, 6, 4, 2, 0]), (300, None)])
def test_items_are_chosen_from_the_best_to_the_worst(count: int, shown: list[int] | None) -> None:
    items = [Item(Source(f"item{number}", Path(), "video"), 0.0) for number in range(count)]
    # Out of order, as data sets are.
    order = sorted(range(count), key=lambda number: number * 7 % 11)
    scores = {items[number]: score_of(f"item{number}", float(number)) for number in order}
    chosen = [int(score.psnr_db) for score in best_to_worst(scores).values()]
    assert chosen == (shown or [299, 256, 214, 171, 128, 85, 43, 0])


def test_the_images_go_from_the_best_to_the_worst_of_a_large_set(tmp_path: Path) -> None:
    make_palette(size=8).save_pretrained(tmp_path / "palette")
    images = make_images(tmp_path / "images", 210, 8)
    # No colour of the palette is near this one; by its name it is the last that is read.
    Image.new("RGB", (8, 8), "white").save(images / "worst.png")
    evaluate(EvaluateOptions(tmp_path / "palette", images, tmp_path / "out", batch=64))
    ranking = sorted(rows(tmp_path / "out"), key=lambda row: -float(row["psnr_db"]))
    assert ranking[-1]["source"] == "worst.png"
    image = Image.open(tmp_path / "out" / "reconstructions.png")
    for place, row in (0, ranking[0]), (7, ranking[-1]):
        top = MARGIN + place * (128 + CAPTION + MARGIN)
        original = Image.open(images / row["source"]).resize((128, 128), Image.Resampling.NEAREST)
        assert image.crop((MARGIN, top, MARGIN + 128, top + 128)).tobytes() == original.tobytes()
