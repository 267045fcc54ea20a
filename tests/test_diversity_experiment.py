"""A diversity run from end to end, with tiny models, videos and images."""

import csv
import io
import json
import math
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diversity_runs import Trained, make_trained, run_options
from holder import held_by_another
from tiny import SHORT, make_tokenizer, make_videos

import secondsight
from data.errors import MediaError, TokenStoreError
from data.subset import write_subset
from data.tokens import TokenStore
from experiments.diversity.experiment import run_diversity
from experiments.diversity.material import choose_items
from experiments.diversity.tables import AuditRow, BestRow, ItemRow, PositionRow, RedundancyRow, RunRow
from storage.lock import FolderLockError
from storage.run_folder import RunFolderError
from storage.tables import read_rows
from vqgan.encode import encode
from vqgan.metrics.features import WeightsMissingError
from vqgan.options import EncodeOptions

TABLES = (
    "run.csv",
    "items.csv",
    "best.csv",
    "positions.csv",
    "audit.csv",
    "redundancy.csv",
    "images.csv",
    "skipped.csv",
)
MODEL_BATCHES = "temperature-1_top-k-0_top-p-1_min-p-0_alone"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("images"), "image")


@pytest.fixture(scope="module")
def clip_run(clips: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_diversity(run_options(clips, tmp_path_factory.mktemp("runs") / "clip"))


@pytest.fixture(scope="module")
def image_run(images: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_diversity(run_options(images, tmp_path_factory.mktemp("runs") / "image", given=(1, 2, 3)))


def items(run: Path, **columns: Any) -> list[ItemRow]:
    """The rows of items.csv that have these values in these columns."""
    rows = read_rows(run / "items.csv", ItemRow)
    return [row for row in rows if all(getattr(row, name) == value for name, value in columns.items())]


def contents(run: Path) -> dict[str, str]:
    return {name: (run / name).read_text() for name in TABLES if name != "run.csv"}


def test_there_is_a_row_for_every_item_and_condition(clip_run: Path) -> None:
    rows = items(clip_run)
    conditions = {(row.encoding, row.continuation, row.item) for row in rows}
    assert len(rows) == len(conditions) == 2 * 5 * 8


def test_half_is_given_unless_said_otherwise(clip_run: Path) -> None:
    assert {(row.given, row.given_share, row.generated_tokens) for row in items(clip_run)} == {(1, 0.5, 16)}


def test_every_prompt_length_that_was_asked_for_is_given(image_run: Path) -> None:
    assert {(row.given, row.generated_tokens) for row in items(image_run)} == {(1, 12), (2, 8), (3, 4)}


def test_as_many_studied_as_new_items(clip_run: Path) -> None:
    (run,) = read_rows(clip_run / "run.csv", RunRow)
    assert (run.kind, run.studied_items, run.new_items, run.training_items) == ("clip", 4, 4, 36)


def test_the_reconstruction_has_all_tokens_of_the_truth(clip_run: Path) -> None:
    rows = items(clip_run, continuation="reconstruction")
    assert {(row.n, row.truth_token, row.exact, row.pairwise_pixel) for row in rows} == {(1, 0.0, 1.0, None)}


def test_the_nearest_training_item_to_a_studied_prompt_is_the_item_itself(clip_run: Path) -> None:
    rows = items(clip_run, continuation="nearest", group="studied")
    assert {row.exact for row in rows} == {1.0}


def test_other_items_are_never_retrieved(clip_run: Path) -> None:
    assert {(row.n, row.exact) for row in items(clip_run, continuation="other")} == {(3, 0.0)}


def test_baselines_have_no_likelihood(clip_run: Path) -> None:
    rows = [row for row in items(clip_run) if row.continuation != "model"]
    assert {(row.entropy_bits, row.truth_bits, row.temperature) for row in rows} == {(None, None, None)}


def test_the_best_is_told_of_one_two_and_all_three(clip_run: Path) -> None:
    rows = read_rows(clip_run / "best.csv", BestRow)
    made = [row for row in rows if (row.continuation, row.encoding, row.item) == ("model", "alone", 0)]
    assert [row.best_of for row in made] == [1, 2, 3]
    (item,) = items(clip_run, continuation="model", encoding="alone", item=0)
    assert (made[0].best_pixel, made[-1].best_pixel) == pytest.approx((item.truth_pixel, item.best_pixel))
    assert {row.best_of for row in rows if row.continuation == "copy"} == {1}


def test_studied_items_are_spread_over_the_videos(clip_run: Path) -> None:
    """Eighteen videos have two clips each."""
    (run,) = read_rows(clip_run / "run.csv", RunRow)
    assert (run.studied_items, run.studied_groups, run.new_items, run.new_groups) == (4, 4, 4, 2)
    assert len({row.source for row in items(clip_run, group="studied")}) == 4


def test_each_video_has_its_turn_before_any_has_two(clips: Trained) -> None:
    store = TokenStore(clips.tokens)
    sources = [store.items[index].source for index in choose_items(store, "studied", 25)]
    assert len(set(sources[:18])) == 18
    assert len(sources) == 25
    assert max(sources.count(source) for source in sources) == 2


def test_groups_of_sources_count_as_one(clips: Trained, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    encode(EncodeOptions(tokenizer=clips.tokenizer, data=clips.data, out=tokens, workers=0, group_by=r"(\d)\.mp4"))
    run = run_diversity(run_options(clips._replace(tokens=tokens), tmp_path / "run", items=30))
    rows = items(run, group="studied", continuation="model", encoding="alone")
    assert len({row.source_group for row in rows}) < len({row.source for row in rows})
    assert read_rows(run / "run.csv", RunRow)[0].studied_groups == len({row.source_group for row in rows})


def test_bits_are_of_the_pixels_that_were_generated(clip_run: Path, image_run: Path) -> None:
    """A clip of two latent frames of four frames each of 16 x 16, of which one is given, and an image of that size."""
    (run,) = read_rows(clip_run / "run.csv", RunRow)
    assert {row.generated_pixels for row in items(clip_run)} == {(run.frames // 2) * run.size**2}
    (run,) = read_rows(image_run / "run.csv", RunRow)
    assert {row.generated_pixels for row in items(image_run, given=1)} == {run.size**2 * 3 // 4}


def test_of_clips_both_encodings_give_the_same_metrics(clip_run: Path) -> None:
    alone, full = (items(clip_run, encoding=encoding) for encoding in ("alone", "full"))
    assert [replace(row, encoding="full") for row in alone] == full


def test_of_images_the_encoding_changes_prompts(image_run: Path) -> None:
    assert max(row.prompt_tokens_changed for row in items(image_run)) > 0
    alone, full = (items(image_run, encoding=encoding) for encoding in ("alone", "full"))
    assert [row.truth_bits for row in alone] != [row.truth_bits for row in full]


def test_positions_add_up_to_the_items(clip_run: Path) -> None:
    positions = read_rows(clip_run / "positions.csv", PositionRow)
    for group in ("studied", "new"):
        rows = items(clip_run, continuation="model", encoding="alone", group=group)
        there = [row for row in positions if (row.encoding, row.group) == ("alone", group)]
        assert [(row.latent_frame, row.row, row.column) for row in there[:2]] == [(1, 0, 0), (1, 0, 1)]
        for name in ("entropy_bits", "truth_bits"):
            mean = math.fsum(getattr(row, name) for row in rows) / len(rows)
            assert math.fsum(getattr(row, name) for row in there) == pytest.approx(mean)


def test_every_continuation_is_audited(clip_run: Path) -> None:
    rows = read_rows(clip_run / "audit.csv", AuditRow)
    assert len(rows) == 2 * 8 * 3
    assert {row.own for row in rows if row.group == "new"} == {False}


def test_redundancy_is_measured_of_every_item(image_run: Path) -> None:
    rows = read_rows(image_run / "redundancy.csv", RedundancyRow)
    assert [(row.given, row.generated_tokens) for row in rows[::8]] == [(1, 12), (2, 8), (3, 4)]
    assert len(rows) == 3 * 8


def test_the_extremes_are_drawn_where_half_is_given(image_run: Path) -> None:
    with (image_run / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["given"] for row in rows} == {"2"}
    assert {row["encoding"] for row in rows} == {"alone", "full"}
    assert all((image_run / row["file"]).stat().st_size > 500 for row in rows)


def test_all_settings_are_measured(clips: Trained, tmp_path: Path) -> None:
    run = run_diversity(
        run_options(clips, tmp_path / "run", temperatures=(1.0, 0.5), top_ks=(0, 4), encodings=("alone",))
    )
    rows = items(run, continuation="model")
    assert {(row.temperature, row.top_k) for row in rows} == {(1.0, 0), (1.0, 4), (0.5, 0), (0.5, 4)}


def test_the_same_seed_gives_the_same_tables(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    again = run_diversity(run_options(clips, tmp_path / "clip"))
    assert contents(again) == contents(clip_run)


def test_another_seed_gives_other_continuations(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    other = run_diversity(run_options(clips, tmp_path / "clip", seed=1))
    assert contents(other)["items.csv"] != contents(clip_run)["items.csv"]


def test_an_interrupted_run_continues(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    options = run_options(clips, tmp_path / "clip")
    fourth = options.out / "continuations" / "given-1" / MODEL_BATCHES / "000.npz"
    fourth.mkdir(parents=True)  # where a file should be written, so that the run stops
    with pytest.raises(IsADirectoryError):
        run_diversity(options)
    fourth.rmdir()
    assert not (options.out / "run.csv").exists()
    finished = {path: path.stat().st_mtime_ns for path in options.out.rglob("*.npz")}
    run_diversity(options.changed(resume="auto"))
    assert contents(options.out) == contents(clip_run)
    assert len(finished) == 3
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def change_a_token(path: Path) -> None:
    """Writes a sound file of the same version that holds another token."""
    with np.load(path) as kept:
        arrays = dict(kept)
    arrays["tokens"].flat[-1] ^= 1
    np.savez_compressed(path, **arrays)


def take_anothers_place(path: Path) -> None:
    path.write_bytes(path.with_name("000.npz").read_bytes())


def claim_terabytes(path: Path) -> None:
    """Writes arrays whose header claims more than is there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tokens.npy", header.getvalue())


@pytest.mark.parametrize("damage", [cut, change_a_token, take_anothers_place, claim_terabytes])
def test_a_damaged_batch_is_made_again_and_that_is_said(
    damage: Callable[[Path], None],
    clips: Trained,
    clip_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shutil.copytree(clip_run, tmp_path / "clip")
    damage(out / "continuations" / "given-1" / MODEL_BATCHES / "001.npz")
    run_diversity(run_options(clips, out, resume="auto"))
    assert re.search(r"001\.npz is damaged, or of another run or version .*: it is made again", capsys.readouterr().err)
    assert contents(out) == contents(clip_run)


def test_batches_of_another_run_are_not_used(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    other = run_diversity(run_options(clips, tmp_path / "other" / "clip", seed=1))
    out = shutil.copytree(clip_run, tmp_path / "clip")
    shutil.rmtree(out / "continuations")
    shutil.copytree(other / "continuations", out / "continuations")
    run_diversity(run_options(clips, out, resume="auto"))
    assert contents(out) == contents(clip_run)


def test_batches_of_an_earlier_version_are_used(
    clips: Trained, clip_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(clip_run, tmp_path / "clip")
    for path in out.rglob("*.npz"):
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept if name != "seal"}
        np.savez_compressed(path, **arrays)
    run_diversity(run_options(clips, out, resume="auto"))
    assert "made again" not in capsys.readouterr().err
    assert contents(out) == contents(clip_run)


def test_a_start_that_fails_leaves_nothing_behind(clips: Trained, tmp_path: Path) -> None:
    options = run_options(clips, tmp_path / "clip")
    with pytest.raises(MediaError):
        run_diversity(options.changed(data=tmp_path / "mistyped"))
    assert not options.out.exists()


def test_two_do_not_measure_into_one_folder(clips: Trained, tmp_path: Path) -> None:
    with held_by_another(tmp_path / "clip"), pytest.raises(FolderLockError):
        run_diversity(run_options(clips, tmp_path / "clip"))
    assert not (tmp_path / "clip" / "config.json").exists()


def test_a_finished_run_is_not_replaced_unasked(clips: Trained, clip_run: Path) -> None:
    with pytest.raises(RunFolderError, match="already holds a run"):
        run_diversity(run_options(clips, clip_run))


def test_a_run_with_other_options_is_not_continued(clips: Trained, clip_run: Path) -> None:
    with pytest.raises(RunFolderError, match="--n 3 -> 2"):
        run_diversity(run_options(clips, clip_run, n=2, resume="auto"))


def test_noises_draw_other_continuations(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    other = run_diversity(run_options(clips, tmp_path / "clip", noise="inverse"))
    assert contents(other)["audit.csv"] != contents(clip_run)["audit.csv"]


def test_a_run_of_before_there_was_a_choice_of_noise_goes_on_with_its_own(
    clips: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = run_options(clips, tmp_path / "clip", noise="inverse")
    path = run_diversity(options) / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in config.items() if name not in ("noise", "window")}))
    with pytest.raises(RunFolderError, match=r"\(--noise inverse -> gumbel\): give the old ones"):
        run_diversity(options.changed(noise="gumbel", resume="auto"))
    run_diversity(options.changed(resume="auto"))
    assert "made again" not in capsys.readouterr().err


def test_a_window_changes_no_continuation(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    alone = run_diversity(run_options(clips, tmp_path / "clip", window=1))
    for name in ("best.csv", "audit.csv"):
        assert contents(alone)[name] == contents(clip_run)[name], name


def test_a_window_longer_than_what_is_generated_is_refused(clips: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--window 17 must lie in 1 to the 16 tokens that are sampled, or be auto"):
        run_diversity(run_options(clips, tmp_path / "clip", window=17))
    assert not (tmp_path / "clip").exists()


def test_overwriting_begins_anew(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    shutil.copytree(clip_run, tmp_path / "clip")
    run_diversity(run_options(clips, tmp_path / "clip", n=2, overwrite=True))
    assert {row.n for row in items(tmp_path / "clip", continuation="model")} == {2}


def test_one_continuation_differs_from_none(clips: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_diversity(run_options(clips, tmp_path / "run", n=1))
    assert {row.pairwise_pixel for row in items(run, continuation="model")} == {None}
    assert "pairwise distances take at least two" in capsys.readouterr().err


def test_it_is_said_what_was_found_and_what_comes_next(
    clips: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_diversity(run_options(clips, tmp_path / "run"))
    said = capsys.readouterr().err
    assert "device       " in said
    assert "2 layers, 2 heads, 16 wide, " in said
    assert "items        4 studied, 4 new; " in said
    assert "observations groups of sources: 4 studied, 2 new; a verdict takes 6" in said
    assert "prompts      1 of 2 latent frames; 3 continuations of each" in said
    assert f"{run} is ready; next: secondsight diversity report {run} --out REPORT" in said


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("clip", 2, "--given 2 of 2 latent frames leaves nothing to imagine: give at most 1"),
        ("image", 7, "--given 7 of 4 rows of tokens leaves nothing to imagine: give at most 3"),
    ],
)
def test_prompts_as_long_as_the_items_are_refused(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, given: int, message: str
) -> None:
    trained = request.getfixturevalue(f"{kind}s")
    with pytest.raises(ValueError, match=message):
        run_diversity(run_options(trained, tmp_path / "run", given=(given,)))
    assert not (tmp_path / "run").exists()


def test_without_perceptual_weights_local_ones_are_offered(
    clips: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="--perceptual efficientnet-lite0"):
        run_diversity(run_options(clips, tmp_path / "run", perceptual="lpips"))
    assert not (tmp_path / "run").exists()


def test_a_top_k_above_the_vocabulary_is_refused(clips: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--top-k 33 is above the 32 tokens"):
        run_diversity(run_options(clips, tmp_path / "run", top_ks=(33,)))


def test_videos_that_are_gone_are_listed(clips: Trained, tmp_path: Path) -> None:
    data = tmp_path / "videos"
    shutil.copytree(clips.data, data)
    full = run_diversity(run_options(clips._replace(data=data), tmp_path / "full", items=20))
    lost = items(full)[0].source
    (data / lost).unlink()
    run = run_diversity(run_options(clips._replace(data=data), tmp_path / "run", items=20))
    assert lost in (run / "skipped.csv").read_text()
    assert lost not in {row.source for row in items(run)}


def test_other_videos_of_the_same_names_are_refused(clips: Trained, tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 20, size=16)
    names = sorted(path.name for path in videos.iterdir())
    for index, name in enumerate(names):
        (videos / name).rename(videos / f"moved_{index}.mp4")
    for index, name in enumerate(names):
        (videos / f"moved_{(index + 1) % len(names)}.mp4").rename(videos / name)
    with pytest.raises(TokenStoreError, match="give the videos or images that the store was encoded from"):
        run_diversity(run_options(clips._replace(data=videos), tmp_path / "run"))


def test_another_tokenizer_is_refused(clips: Trained, tmp_path: Path) -> None:
    make_tokenizer(SHORT, seed=5).save_pretrained(tmp_path / "other")
    with pytest.raises(TokenStoreError, match="give the tokenizer that encoded them"):
        run_diversity(run_options(clips._replace(tokenizer=tmp_path / "other"), tmp_path / "run"))


def test_a_subset_is_tested_on_the_same_items(clips: Trained, clip_run: Path, tmp_path: Path) -> None:
    subset = write_subset(TokenStore(clips.tokens), tmp_path / "tokens", 6)
    run = run_diversity(run_options(clips._replace(tokens=subset), tmp_path / "run"))
    assert [(row.source, row.start) for row in items(run)] == [(row.source, row.start) for row in items(clip_run)]


def test_a_single_training_item_is_refused(clips: Trained, tmp_path: Path) -> None:
    subset = write_subset(TokenStore(clips.tokens), tmp_path / "tokens", 1)
    with pytest.raises(TokenStoreError, match="has 1 training item: other ones to compare with are needed"):
        run_diversity(run_options(clips._replace(tokens=subset), tmp_path / "run"))


def test_the_table_of_the_run_holds_its_command(clips: Trained, clip_run: Path) -> None:
    (run,) = read_rows(clip_run / "run.csv", RunRow)
    assert secondsight.parse(shlex.split(run.command)[1:]) == run_options(clips, clip_run)


def test_continuations_are_kept(clip_run: Path) -> None:
    path = clip_run / "continuations" / "given-1" / MODEL_BATCHES / "000.npz"
    with np.load(path, allow_pickle=False) as kept:
        assert kept["tokens"].shape == (3, 3, 32)
