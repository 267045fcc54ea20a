"""The studies of losses and of tokenizers: what they plan, the tables they write, and that they go on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from figure_files import drawn_as
from hypothesis import given
from hypothesis import strategies as st
from networks import make_network
from PIL import Image
from tiny import SHORT, make_videos

from gpt.config import GPTConfig
from gpt.model import GPT
from starter.colour_study import LOSSES, ColourRow, study_colour
from starter.colour_study import Options as ColourOptions
from starter.study_parts import paced, read_record_of, tokenizer_options, write_tables
from starter.tokenizer_study import HALF_FIRST, VARIANTS, TokenizerRow, draw_rates, half_sized, study_tokenizers
from starter.tokenizer_study import Options as TokenizerOptions
from storage.tables import read_table
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN

GPT_TINY = GPTConfig(layers=1, heads=2, width=16)
ROW = TokenizerRow("base", 700, 12.5, 3.25, 0.123456, 24.5, None, 5.0, 0.75, 0.5, 1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage to learn from, footage held out, and a network that judges."""
    folder = tmp_path_factory.mktemp("data")
    make_videos(folder / "train", 3, size=16)
    make_videos(folder / "held", 2, size=16)
    make_network(folder / "network.safetensors")
    return folder


@pytest.fixture(scope="module")
def colour(data: Path) -> ColourOptions:
    """A study of two losses that was made."""
    judge = f"timm:test_resnet:{data / 'network.safetensors'}"
    losses = ("pixel", "chroma-3")
    options = ColourOptions(data / "train", data / "held", data / "colour", steps=2, losses=losses, judge=judge)
    study_colour(options, SHORT, crop=8, batch=2)
    return options


@pytest.fixture(scope="module")
def tokenizers(data: Path) -> TokenizerOptions:
    """A study of the base and of half the size first that was made."""
    options = TokenizerOptions(
        data / "train",
        data / "held",
        data / "tokenizers",
        steps=4,
        gpt_steps=2,
        perceptual="none",
        variants=("base", HALF_FIRST),
        judge=f"timm:test_resnet:{data / 'network.safetensors'}",
    )
    study_tokenizers(options, SHORT, GPT_TINY, crop=8, batch=2)
    return options


def test_every_loss_has_a_row(colour: ColourOptions) -> None:
    rows = read_table(colour.out / "table.csv")
    assert [(row["loss"], row["steps"]) for row in rows] == [("pixel", "2"), ("chroma-3", "2")]


def test_a_row_holds_what_the_evaluation_says(colour: ColourOptions) -> None:
    (row, _) = read_table(colour.out / "table.csv")
    metrics = json.loads((colour.out / "pixel" / "evaluation" / "metrics.json").read_text())
    names = ("psnr_db", "ssim", "perceptual", "chroma_error", "saturation_kept", "sharpness_ratio")
    assert {name: float(row[name]) for name in names} == {name: metrics[name] for name in names}


def test_losses_differ_in_their_own_options_alone(colour: ColourOptions) -> None:
    pixel, chroma = (
        json.loads((colour.out / name / "tokenizer" / "config.json").read_text()) for name in ("pixel", "chroma-3")
    )
    assert {name for name in pixel if pixel[name] != chroma[name]} == {"out", "chroma_weight"}


def test_the_sheet_shows_originals_and_every_loss(colour: ColourOptions) -> None:
    with Image.open(colour.out / "sheet.png") as sheet:
        assert sheet.width > 3 * 160


def test_a_finished_study_trains_nothing_again(colour: ColourOptions) -> None:
    before = read_record_of(colour.out / "pixel" / "tokenizer")
    study_colour(colour, SHORT, crop=8, batch=2)
    assert read_record_of(colour.out / "pixel" / "tokenizer") == before


def test_all_losses_are_options_of_the_training(tmp_path: Path) -> None:
    for loss in LOSSES.values():
        assert paced(tokenizer_options(VQGANConfig(), tmp_path, tmp_path, **loss), 300).training.steps == 300


def test_an_unknown_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no loss 'hue': --losses takes pixel, chroma-1, "):
        study_colour(ColourOptions(tmp_path, tmp_path / "held", tmp_path, losses=("hue",)))


def test_time_is_made_steps_of(data: Path, tmp_path: Path) -> None:
    """Of so little time the fewest steps that there are."""
    options = ColourOptions(
        data / "train", data / "held", tmp_path, 1e-9, losses=("chroma-1-adversary-.3",), judge="none"
    )
    (row,) = study_colour(options, SHORT, crop=8, batch=2, discriminator_layers=1)
    assert row.steps == 2


@given(st.integers(2, 5000))
def test_any_number_of_steps_has_a_beginning_and_an_end(steps: int) -> None:
    options = paced(tokenizer_options(VQGANConfig(), Path("data"), Path("out")), steps)
    assert options.training.steps == steps
    assert options.continuous_steps <= options.training.steps / 4


def test_every_tokenizer_has_a_row(tokenizers: TokenizerOptions) -> None:
    rows = read_table(tokenizers.out / "table.csv")
    assert [(row["tokenizer"], row["steps"]) for row in rows] == [("base", "4"), (HALF_FIRST, "2")]
    assert all(float(row["bits_per_pixel"]) > 0 for row in rows)


def test_the_gpt_is_scored_on_all_that_is_held_out(tokenizers: TokenizerOptions) -> None:
    """Five bits a token, 32 tokens of 8 x 16 x 16 pixels: what a GPT that knows nothing needs."""
    (row, _) = read_table(tokenizers.out / "table.csv")
    assert float(row["bits_per_pixel"]) == pytest.approx(5 * 32 / 2048, rel=0.2)


def test_other_steps_than_those_begun_with_are_refused(colour: ColourOptions) -> None:
    with pytest.raises(ValueError, match=r"tokenizer was begun for 2 optimizer steps: give --steps 2, or another"):
        study_colour(replace(colour, steps=3), SHORT, crop=8, batch=2)


def test_half_the_size_comes_first(tokenizers: TokenizerOptions) -> None:
    folder = tokenizers.out / HALF_FIRST
    assert VQGAN.from_pretrained(folder / "half_size" / "final").config.resolution == 8
    assert "half_size" in str(VQGAN.from_pretrained(folder / "tokenizer" / "final").ancestry)


def test_half_the_size_has_half_the_crop(tmp_path: Path) -> None:
    half = half_sized(tokenizer_options(VQGANConfig(), tmp_path, tmp_path / "tokenizer"))
    assert (half.model.resolution, half.crop, half.out) == (32, 16, tmp_path / "half_size")


def test_all_tokenizers_make_equally_many_tokens() -> None:
    configs = [VQGANConfig(**changes) for changes in VARIANTS.values()]
    assert {(config.temporal_factor, config.spatial_factor) for config in configs} == {(4, 4)}


def test_rate_and_distortion_are_drawn(tokenizers: TokenizerOptions) -> None:
    assert (tokenizers.out / "rates.png").exists()


def test_rates_are_drawn_without_a_judge(tmp_path: Path) -> None:
    with drawn_as():
        draw_rates(tmp_path / "rates.png", [ROW])
    assert (tmp_path / "rates.svg").exists()


def test_the_gpt_that_is_scored_is_of_the_tokenizer(tokenizers: TokenizerOptions) -> None:
    folder = tokenizers.out / "base"
    fingerprint = VQGAN.from_pretrained(folder / "tokenizer" / "final").fingerprint
    assert GPT.from_pretrained(folder / "gpt" / "final").config.tokenizer == fingerprint


def test_what_is_learned_is_not_held_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--data and --held-out are both .*: hold other footage out"):
        study_colour(ColourOptions(tmp_path, tmp_path, tmp_path / "out"))


def test_an_unknown_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no tokenizer 'flat': --variants takes base, width-8, "):
        study_tokenizers(TokenizerOptions(tmp_path, tmp_path / "held", tmp_path, variants=("flat",)))


def test_the_table_for_people_leaves_empty_what_there_is_none_of(tmp_path: Path) -> None:
    write_tables(tmp_path, [ColourRow("pixel", 700, 30.0, 24.123456, None, 0.5, 5.0, None, 0.75)], ColourRow)
    last = (tmp_path / "table.md").read_text().splitlines()[-1]
    assert last == "| pixel | 700 | 30 | 24.12 |  | 0.5 | 5 |  | 0.75 |"
