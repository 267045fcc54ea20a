"""A demo that begins from a model: what is adapted, measured and shown, what is kept, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import GPT_SHORT, IMAGE, SHORT, make_gpt, make_images, make_store, make_tokenizer, make_videos

from data.errors import MediaError
from data.tokens import TokenStore
from data.video_writing import write_video
from experiments.demo import run_demo, settle_init
from experiments.demo_adaptation import (
    CODEBOOK_DECAY,
    Adaptation,
    Adapted,
    Start,
    adapt_gpt,
    adapt_tokenizer,
    adaptation_options,
    find_start,
    read_videos,
    worsened_reconstructions,
)
from experiments.demo_comparison import seconds_per_step
from experiments.demo_sizes import DemoSizes
from experiments.options import NO_MODEL, STARTER, DemoOptions
from gpt.model import GPT
from gpt.sampling_settings import SamplingSettings
from sampling.options import CompleteOptions, SamplingOptions
from storage.files import to_json
from storage.model_paths import CheckpointError
from storage.run_folder import RunFolderError, read_options
from vqgan.model import VQGAN
from vqgan.options import TrainOptions
from vqgan.train import train as train_tokenizer

SIZES = DemoSizes(
    objects=2,
    tokenizer_steps=12,
    tokenizer_rate=5e-3,
    gpt_steps=6,
    gpt_rate=1e-2,
    exposures=1,
    items=1,
    continuations=2,
)
ABSURD = replace(SIZES, tokenizer_rate=1.0, gpt_rate=30.0)
"""Rates at which all that was learned is lost."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("films"), count=4, frames=24)


@pytest.fixture(scope="module")
def model(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has learned a little of these films."""
    out = tmp_path_factory.mktemp("model")
    learned = {"steps": 40, "learning_rate": 5e-3, "warmup": 4, "continuous_steps": 4}
    train_tokenizer(TrainOptions.of(data=films, out=out / "run", **SHORT.flat(), **learned))
    return save_start(out / "tiny-clips", VQGAN.from_pretrained(out / "run"))


@pytest.fixture(scope="module")
def shards(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return read_videos(films, tmp_path_factory.mktemp("prepared") / "shards", SHORT.clip_format)


@pytest.fixture(scope="module")
def demo(films: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    run_demo(DemoOptions(out, videos=films, init=model, compare=True), SIZES)
    return out


def save_start(folder: Path, tokenizer: VQGAN) -> Path:
    """A GPT that brings a tokenizer along."""
    gpt = make_gpt(GPT_SHORT.for_tokens((2, 4, 4), 32, tokenizer.fingerprint), scale=2.0)
    gpt.sampling = SamplingSettings(temperature=0.9, top_p=0.8)
    gpt.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "tokenizer")
    return folder


def make_tokens_of(tokenizer: Path, folder: Path) -> Path:
    return make_store(folder, tokenizer=VQGAN.from_pretrained(tokenizer).fingerprint)


def adaptation(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["adaptation"]


def test_the_tokenizer_of_the_model_is_adapted_and_uses_its_codes_from_the_first_step(demo: Path, model: Path) -> None:
    options = read_options(demo / "tokenizer", TrainOptions)
    assert options.beginning.init == model
    assert options.continuous_steps == 0
    assert options.model.codebook_decay == CODEBOOK_DECAY


def test_codes_that_are_no_averages_are_adapted_without_a_decay(shards: Path, tmp_path: Path) -> None:
    tokenizer = VQGAN(replace(SHORT, levels=(4, 4, 2)))
    start = find_start(save_start(tmp_path / "model", tokenizer))
    options = adaptation_options(start, shards, tmp_path / "out", SIZES, 0)
    assert options.model == tokenizer.config


def test_the_adapted_gpt_descends_from_that_of_the_model(demo: Path) -> None:
    gpt = GPT.from_pretrained(demo / "gpt")
    assert [ancestor.model for ancestor in gpt.ancestry] == ["tiny-clips"]
    assert gpt.config.tokenizer == VQGAN.from_pretrained(demo / "tokenizer").fingerprint


def test_reconstructions_of_held_out_clips_are_measured_before_and_after(demo: Path) -> None:
    measured = adaptation(demo)["tokenizer"]
    assert measured["before"]["psnr_db"] < measured["after"]["psnr_db"]
    assert {"ssim", "codebook_usage", "items"} <= measured["before"].keys() & measured["after"].keys()


def test_the_same_held_out_tokens_are_scored_before_and_after(demo: Path) -> None:
    measured = adaptation(demo)["gpt"]
    assert measured["after"]["bits_per_pixel"] < measured["before"]["bits_per_pixel"]
    assert measured["before"]["unigram_nll"] == measured["after"]["unigram_nll"]


def test_what_is_used_is_what_the_summary_speaks_of(demo: Path) -> None:
    summary = json.loads((demo / "summary.json").read_text(encoding="utf-8"))
    assert adaptation(demo)["tokenizer_used"] == adaptation(demo)["gpt_used"] == "after"
    assert summary["psnr_db"] == adaptation(demo)["tokenizer"]["after"]["psnr_db"]


def test_a_tokenizer_from_scratch_is_trained_beside_when_it_is_asked_for(demo: Path) -> None:
    assert "psnr_db" in adaptation(demo)["tokenizer"]["from_scratch"]
    assert read_options(demo / "from_scratch", TrainOptions).training.steps == adaptation(demo)["from_scratch_steps"]


def test_the_page_shows_all_of_them(demo: Path) -> None:
    page = (demo / "report.html").read_text(encoding="utf-8")
    for shown in ("What adapting changed", "as it came", "adapted", "from scratch", "tiny-clips", "perceptual"):
        assert shown in page


def test_completions_are_drawn_as_the_model_recommends(demo: Path) -> None:
    drawn = read_options(demo / "completions" / "clip_new", CompleteOptions).sampling
    assert (drawn.temperature, drawn.top_p) == (0.9, 0.8)
    assert "temperature 0.9, top-k 0, top-p 0.8" in (demo / "report.html").read_text(encoding="utf-8")


def test_a_demo_that_goes_on_keeps_what_it_has_and_needs_no_comparison(
    demo: Path, films: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = adaptation(demo)
    weights = demo / "tokenizer" / "checkpoints" / "000012" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    run_demo(DemoOptions(demo, videos=films), SIZES)
    assert "changed since the run began: --compare -> --no-compare" in capsys.readouterr().err
    assert weights.stat().st_mtime_ns == written
    assert adaptation(demo)["tokenizer"]["after"] == before["tokenizer"]["after"]
    assert "`--compare`" not in (demo / "report.html").read_text(encoding="utf-8")
    assert "<code>--compare</code> also trains" in (demo / "report.html").read_text(encoding="utf-8")


def test_another_model_into_the_same_folder_is_refused(demo: Path, films: Path, tmp_path: Path) -> None:
    other = save_start(tmp_path / "other", make_tokenizer(SHORT))
    with pytest.raises(RunFolderError, match=r"--init .*tiny-clips -> .*other"):
        run_demo(DemoOptions(demo, videos=films, init=other), SIZES)


def test_a_tokenizer_that_became_worse_is_not_used(
    model: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapted = adapt_tokenizer(find_start(model), shards, tmp_path, ABSURD, seed=0)
    assert adapted.used == model
    assert adapted.scores == adapted.measures["before"]
    assert "beware" in (said := capsys.readouterr().err)
    assert f"adapting made the tokenizer of {model} worse on held-out clips: their PSNR fell" in said


def test_a_gpt_that_became_worse_is_not_used(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = make_tokens_of(model / "tokenizer", tmp_path / "tokens")
    adapted = adapt_gpt(find_start(model), tokens, tmp_path, ABSURD, seed=0)
    assert adapted.used == tmp_path / "gpt_before"
    assert torch.equal(GPT.from_pretrained(adapted.used).head.weight, GPT.from_pretrained(model).head.weight)
    assert "worse on tokens of held-out clips: their negative log-likelihood rose" in capsys.readouterr().err


def test_the_gpt_as_it_came_knows_the_tokens_of_an_adapted_tokenizer(model: Path, tmp_path: Path) -> None:
    other = make_tokenizer(SHORT, seed=1)
    tokens = make_store(tmp_path / "tokens", tokenizer=other.fingerprint)
    adapt_gpt(find_start(model), tokens, tmp_path, replace(SIZES, gpt_steps=1), seed=0)
    assert GPT.from_pretrained(tmp_path / "gpt_before").config.tokenizer == TokenStore(tokens).metadata.tokenizer


@pytest.mark.parametrize(
    ("psnr", "perceptual", "worse"),
    [
        (20.0, 0.5, None),
        (19.9, 0.1, "their PSNR fell from 20.00 to 19.90 dB"),
        (20.5, 0.52, None),
        (20.5, 0.6, "their perceptual distance rose from 0.5 to 0.6"),
    ],
)
def test_worse_is_a_lower_psnr_or_a_much_larger_perceptual_distance(
    psnr: float, perceptual: float, worse: str | None
) -> None:
    before = {"psnr_db": 20.0, "perceptual": 0.5}
    assert worsened_reconstructions(before, {"psnr_db": psnr, "perceptual": perceptual}) == worse


def test_without_the_network_of_the_perceptual_distance_psnr_decides() -> None:
    assert worsened_reconstructions({"psnr_db": 20.0}, {"psnr_db": 21.0}) is None


def described(held_out: int, worse: str | None = None) -> Adaptation:
    scores = {"psnr_db": 20.0, "items": float(held_out)}
    part = Adapted(Path("used"), scores, {"before": scores, "after": scores}, worse)
    return Adaptation.of(Start(Path("tiny-clips"), SHORT), part, part, SamplingOptions())


def test_what_became_worse_is_said_in_a_sentence_each() -> None:
    said = described(8, "it fell").sentences
    assert [sentence.split(" worse")[0] for sentence in said] == [
        "adapting made the tokenizer of tiny-clips",
        "adapting made the GPT of tiny-clips",
    ]


def test_few_held_out_clips_are_said_to_tell_little() -> None:
    assert described(8).sentences == ()
    assert described(1).sentences == (
        "only 1 clip held out, by which before and after were compared: give more videos",
    )


def test_steps_of_both_trainings_are_timed_in_turn(model: Path) -> None:
    options = TrainOptions.of(data=Path("films"), out=Path("run"), init=model / "tokenizer", batch=2)
    assert all(seconds > 0 for seconds in seconds_per_step([options, options]))


def test_films_of_any_size_and_speed_are_read_at_those_of_the_clips(tmp_path: Path) -> None:
    for number in range(2):
        film = torch.rand(3, 80, 60, 80, generator=torch.Generator().manual_seed(number)) * 2 - 1
        (tmp_path / "films").mkdir(exist_ok=True)
        write_video(tmp_path / "films" / f"film_{number}.mp4", film, 35)
    read_videos(tmp_path / "films", tmp_path / "shards", SHORT.clip_format)
    assert json.loads((tmp_path / "shards" / "config.json").read_text())["size"] == SHORT.resolution


def test_prepared_videos_are_taken_as_they_are(shards: Path, tmp_path: Path) -> None:
    assert read_videos(shards, tmp_path / "again", SHORT.clip_format) == shards


def test_videos_shorter_than_a_clip_are_refused(model: Path, tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", count=2, frames=4)
    with pytest.raises(MediaError, match=r"no clip of 1.00 s, its longest stretch of video lasts 0.50 s: give longer"):
        read_videos(films, tmp_path / "shards", SHORT.clip_format)


def test_a_single_short_video_is_refused(model: Path, tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", count=1, frames=16)
    with pytest.raises(MediaError, match=r"film_0.mp4 is the only video.*give a longer video or at least two files"):
        read_videos(films, tmp_path / "shards", SHORT.clip_format)


def test_images_are_refused(model: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    with pytest.raises(MediaError, match=r"images holds images and no videos, .*: give videos, or complete images"):
        run_demo(DemoOptions(tmp_path / "demo", videos=images, init=model), SIZES)


def test_a_gpt_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    with pytest.raises(CheckpointError, match=r"--init .*gpt brings no tokenizer along .*: put its tokenizer there"):
        find_start(tmp_path / "gpt")


def test_a_gpt_with_another_tokenizer_is_refused(model: Path, tmp_path: Path) -> None:
    GPT.from_pretrained(model).save_pretrained(tmp_path / "gpt")
    make_tokenizer(SHORT).save_pretrained(tmp_path / "gpt" / "tokenizer")
    with pytest.raises(CheckpointError, match=r"its GPT learned the tokens of tokenizer .*, and it brings .* along"):
        find_start(tmp_path / "gpt")


def test_a_model_of_stills_is_refused(tmp_path: Path) -> None:
    stills = save_start(tmp_path / "stills", make_tokenizer(IMAGE))
    with pytest.raises(ValueError, match=r"--init .*stills makes tokens of stills, .*: give a model of clips"):
        find_start(stills)


def test_a_demo_of_videos_begins_from_the_starter(tmp_path: Path, films: Path) -> None:
    assert settle_init(DemoOptions(tmp_path, videos=films), begun=False).init == STARTER


def test_the_playroom_begins_from_scratch(tmp_path: Path) -> None:
    assert settle_init(DemoOptions(tmp_path), begun=False).init == NO_MODEL


def test_a_demo_that_an_earlier_version_began_goes_on_from_scratch(tmp_path: Path, films: Path) -> None:
    earlier = {"command": "demo", "out": tmp_path, "seed": 0, "videos": films}
    (tmp_path / "config.json").write_text(to_json(earlier))
    assert settle_init(DemoOptions(tmp_path, videos=films), begun=True).init == NO_MODEL


def test_runs_that_lie_where_no_demo_was_begun_decide_nothing(tmp_path: Path, films: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    assert settle_init(DemoOptions(tmp_path, videos=films), begun=True).init == STARTER


def test_a_model_for_the_playroom_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--init .*tiny-clips needs --videos"):
        DemoOptions(tmp_path, init=model)


@pytest.mark.parametrize("given", [{}, {"videos": Path("films"), "init": NO_MODEL}])
def test_a_comparison_with_nothing_is_refused(given: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--compare needs --videos and a model to begin from"):
        DemoOptions(tmp_path, compare=True, **given)
