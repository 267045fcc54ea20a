"""The study that chooses a model's sampling settings: its grid, its measures, its rule, and going on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_files import drawn_as
from networks import make_network
from tiny import GPT_SHORT, IMAGE, SHORT, make_gpt, make_images, make_tokenizer, make_videos

from sampling.options import SamplingOptions
from starter.sampling_choice import (
    ItemRow,
    SettingGrid,
    SettingRow,
    combined_settings,
    describe_setting,
    first_settings,
    interval,
    standard_errors_behind,
    summarise,
)
from starter.sampling_study import SamplingStudyOptions, by_setting, main, study_sampling
from storage.run_folder import RunFolderError
from storage.tables import read_rows, read_table, write_rows

PLAIN = SamplingOptions()
COLD = SamplingOptions(temperature=0.7)
NARROW = SamplingOptions(top_p=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and data of stills and of clips, and a network."""
    folder = tmp_path_factory.mktemp("study")
    for name, config in (("still", IMAGE), ("clip", SHORT)):
        tokenizer = make_tokenizer(config)
        tokenizer.save_pretrained(folder / name / "tokenizer")
        grid = tokenizer.grid(config.frames, 16, 16)
        make_gpt(replace(GPT_SHORT, grid=grid, tokenizer=tokenizer.fingerprint)).save_pretrained(folder / name)
    make_images(folder / "images", 3)
    make_videos(folder / "videos", 2, frames=8, size=16)
    make_network(folder / "network.safetensors")
    return folder


def options_of(folder: Path, out: Path, **changes: object) -> SamplingStudyOptions:
    values = {
        "gpt": folder / "still",
        "tokenizer": folder / "still" / "tokenizer",
        "input": (folder / "images",),
        "out": out,
        "n": 2,
        "batch": 2,
        "temperatures": (1.0, 0.7),
        "top_ks": (),
        "top_ps": (0.9, 0.7, 0.5),
        "min_ps": (0.1,),
        "perceptual": f"timm:test_resnet:{folder / 'network.safetensors'}",
    }
    return SamplingStudyOptions.of(**{**values, **changes})


@pytest.fixture(scope="module")
def studied(folder: Path) -> Path:
    out = folder / "out"
    with drawn_as():
        study_sampling(options_of(folder, out))
    return out


def test_every_setting_completes_every_item(studied: Path) -> None:
    rows = by_setting(read_rows(studied / "items.csv", ItemRow))
    assert len(rows) == 6 + 2
    assert {tuple(row.item for row in of_setting) for of_setting in rows.values()} == {(0, 1, 2)}


def test_the_best_temperatures_and_top_ps_are_combined(studied: Path) -> None:
    *first, third, fourth = by_setting(read_rows(studied / "items.csv", ItemRow)).items()
    assert [third[0], fourth[0]] == combined_settings(dict(first))
    assert {third[0].temperature, fourth[0].temperature} == {0.7}


def test_the_settings_are_those_of_the_chosen_row(studied: Path) -> None:
    (chosen,) = (row for row in read_table(studied / "table.csv") if row["chosen"] == "True")
    settings = json.loads((studied / "settings.json").read_text())
    assert list(settings) == ["temperature", "top_k", "top_p", "min_p"]
    assert all(float(chosen[name]) == value for name, value in settings.items())


def test_the_figure_is_drawn(studied: Path) -> None:
    assert {path.name for path in studied.glob("settings.*")} == {
        f"settings.{e}" for e in ("json", "png", "pdf", "svg")
    }


def test_a_study_goes_on_with_what_is_missing_and_ends_the_same(studied: Path, folder: Path, tmp_path: Path) -> None:
    before = read_rows(studied / "items.csv", ItemRow)
    out = shutil.copytree(studied, tmp_path / "out")
    kept = [replace(row, energy=9.0) if row.setting == COLD else row for row in before if row.top_p == 1]
    write_rows(out / "items.csv", kept, ItemRow)
    study_sampling(options_of(folder, out))
    after = by_setting(read_rows(out / "items.csv", ItemRow))
    assert {row.energy for row in after[COLD]} == {9.0}
    assert after[NARROW] == by_setting(before)[NARROW]


def test_clips_are_continued_from_their_first_half(folder: Path, tmp_path: Path) -> None:
    clip = folder / "clip"
    changes = {"gpt": clip, "tokenizer": clip / "tokenizer", "input": (folder / "videos",), "prompt": "half-clip"}
    study_sampling(options_of(folder, tmp_path, **changes))
    rows = read_rows(tmp_path / "items.csv", ItemRow)
    assert {row.source for row in rows} == {"film_0.mp4", "film_1.mp4"}
    assert all(0 < row.truth_pixel < 1 for row in rows)


def test_a_study_of_other_models_is_not_mixed_in(studied: Path, folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(studied, tmp_path / "out")
    gpt = shutil.copytree(folder / "still", tmp_path / "gpt")
    make_gpt(replace(GPT_SHORT, grid=(1, 4, 4), tokenizer=make_tokenizer(IMAGE).fingerprint), seed=1).save_pretrained(
        gpt
    )
    rename_option(out, "gpt", gpt)
    with pytest.raises(RunFolderError, match="holds a study whose gpt differs: choose another --out"):
        study_sampling(options_of(folder, out, gpt=gpt))


def test_other_options_are_refused(studied: Path, folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(studied, tmp_path / "out")
    with pytest.raises(RunFolderError, match="--n 2 -> 3"):
        study_sampling(options_of(folder, out, n=3))


def rename_option(out: Path, name: str, value: Path) -> None:
    """Let a study have begun with another path, as if the model there had been replaced since."""
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, name: str(value)}))


def test_one_item_is_refused(folder: Path, tmp_path: Path) -> None:
    make_images(tmp_path / "one", 1)
    with pytest.raises(ValueError, match="among at least 2 items, and --input has 1"):
        study_sampling(options_of(folder, tmp_path / "out", input=(tmp_path / "one",)))


def test_what_is_wrong_is_said_in_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--gpt", str(folder / "none"), "--tokenizer", str(folder / "none"), "--input", str(folder / "images")]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "out")])
    assert str(ended.value).startswith("sampling_study: ")
    assert "holds no model" in str(ended.value)


def rows_of(setting: SamplingOptions, energies: list[float], distance: float, between: float = 0.1) -> list[ItemRow]:
    return [
        ItemRow(
            temperature=setting.temperature,
            top_k=setting.top_k,
            top_p=setting.top_p,
            min_p=setting.min_p,
            item=item,
            source="",
            identified=0.5,
            truth_perceptual=distance,
            truth_pixel=0.1,
            between_perceptual=between,
            between_pixel=0.1,
            energy=energy,
        )
        for item, energy in enumerate(energies)
    ]


def chosen_of(measured: dict[SamplingOptions, list[ItemRow]]) -> SamplingOptions:
    (chosen,) = (row.setting for row in summarise(measured, seed=0) if row.chosen)
    return chosen


def test_of_settings_that_are_as_good_the_nearest_to_the_truth_is_chosen() -> None:
    measured = {PLAIN: rows_of(PLAIN, [1.0, 2.0, 3.0], 0.4), COLD: rows_of(COLD, [1.1, 1.9, 3.1], 0.3)}
    assert chosen_of(measured) == COLD


def test_the_nearest_to_the_truth_is_not_chosen_if_its_score_is_surely_worse() -> None:
    measured = {PLAIN: rows_of(PLAIN, [1.0, 2.0, 3.0], 0.4), COLD: rows_of(COLD, [1.5, 2.4, 3.6], 0.3)}
    assert chosen_of(measured) == PLAIN


def test_scores_are_compared_item_by_item() -> None:
    behind = standard_errors_behind(
        {PLAIN: np.array([1.0, 2.0, 6.0]), COLD: np.array([1.5, 2.4, 6.6]), NARROW: np.array([1.5, 2.5, 6.5])}
    )
    assert behind == {PLAIN: 0, COLD: pytest.approx(0.5 / (0.1 / 3**0.5)), NARROW: np.inf}


def test_continuations_as_far_from_each_other_as_from_the_truth_have_a_spread_of_one() -> None:
    (row,) = summarise({PLAIN: rows_of(PLAIN, [1.0, 2.0], 0.3, between=0.3)}, seed=0)
    assert row.spread_perceptual == pytest.approx(1)


def test_an_interval_holds_the_mean_and_narrows_with_more_items() -> None:
    values = np.random.default_rng(0).normal(size=400)
    few, many = interval(values[:20], 0), interval(values, 0)
    assert many[0] < values.mean() < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_top_k_of_all_codes_is_not_tried() -> None:
    assert [setting.top_k for setting in first_settings(SettingGrid(), 64) if setting.top_k] == [16]


def test_no_setting_is_tried_twice() -> None:
    settings = first_settings(SettingGrid(), 1024)
    assert len(settings) == len(set(settings)) == 1 + 3 + 3 + 6 + 4


def test_a_finished_study_says_again_what_it_recommends(
    studied: Path, folder: Path, tmp_path: Path, capsys: Any
) -> None:
    out = shutil.copytree(studied, tmp_path / "out")
    study_sampling(options_of(folder, out))
    (chosen,) = (row for row in read_rows(out / "table.csv", SettingRow) if row.chosen)
    assert f"recommended  {describe_setting(chosen.setting)}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "words"),
    [(PLAIN, "no change"), (SamplingOptions(temperature=0.9, top_p=0.8), "temperature 0.9, top-p 0.8")],
)
def test_a_setting_is_said_in_words(setting: SamplingOptions, words: str) -> None:
    assert describe_setting(setting) == words
