"""Completing with windows and with either noise: tokens, counts, what is refused, and runs that go on."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer, make_videos

from sampling.complete import complete
from sampling.options import CompleteOptions
from storage.run_folder import RunFolderError

COUNTED = ("passes", "tokens", "tokens_a_pass", "drafts_offered", "drafts_accepted", "tokens_recomputed")


@pytest.fixture(scope="module")
def what(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Models, three clips in batches of two, and two continuations of each."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(folder / "tokenizer")
    make_gpt(GPT_SHORT).save_pretrained(folder / "gpt")
    videos = make_videos(folder / "videos", 3, frames=8, size=16)
    models = {"gpt": folder / "gpt", "tokenizer": folder / "tokenizer"}
    return {**models, "input": (videos,), "n": 2, "batch": 2}


@pytest.fixture(scope="module")
def gumbel(what: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(CompleteOptions.of(**what, out=tmp_path_factory.mktemp("gumbel") / "out", window=4))


@pytest.fixture(scope="module")
def inverse(what: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(CompleteOptions.of(**what, out=tmp_path_factory.mktemp("inverse") / "out", noise="inverse"))


@pytest.fixture
def of_before(inverse: Path, tmp_path: Path) -> Path:
    """A run of a version without the options, which was stopped before its last item."""
    out = shutil.copytree(inverse, tmp_path / "before")
    config = json.loads((out / "config.json").read_text())
    for name in ("noise", "window"):
        del config[name]
    (out / "config.json").write_text(json.dumps(config))
    stop(out)
    return out


def stop(out: Path) -> None:
    """Leave of a finished run what one that was stopped before its last item leaves."""
    (out / "items" / "item_002.npz").unlink()
    (out / "sample.json").unlink()


def decoding(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "sample.json").read_text())["decoding"]
    return found


def tokens(out: Path) -> bytes:
    return (out / "tokens.npy").read_bytes()


def test_a_window_changes_no_token(what: dict[str, Any], gumbel: Path, tmp_path: Path) -> None:
    assert tokens(complete(CompleteOptions.of(**what, out=tmp_path, window=1))) == tokens(gumbel)


def test_noises_draw_other_tokens(gumbel: Path, inverse: Path) -> None:
    assert tokens(gumbel) != tokens(inverse)


def test_the_record_says_how_tokens_were_drawn(gumbel: Path) -> None:
    found = decoding(gumbel)
    assert (found["noise"], found["window"], found["batches_counted"]) == ("gumbel", 4, 2)
    assert found["tokens"] == 3 * 2 * 16
    assert len(found["drafts_offered"]) == len(found["drafts_accepted"]) == 3
    assert found["passes"] < 2 * 16


def test_one_at_a_time_every_token_of_a_row_takes_a_pass(inverse: Path) -> None:
    found = decoding(inverse)
    assert (found["passes"], found["tokens"], found["drafts_offered"]) == (2 * 16, 3 * 2 * 16, [])


def test_how_many_passes_it_took_is_said_at_the_end(
    what: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(CompleteOptions.of(**what, out=tmp_path, window=1))
    assert "96 tokens in 32 passes of the model (3.0 a pass)" in capsys.readouterr().err.splitlines()


def test_a_run_that_goes_on_reports_the_same_sums(what: dict[str, Any], gumbel: Path, tmp_path: Path) -> None:
    out = shutil.copytree(gumbel, tmp_path / "out")
    stop(out)
    complete(CompleteOptions.of(**what, out=out, window=4, resume="auto"))
    assert decoding(out) == decoding(gumbel)


def test_items_of_versions_that_did_not_count_are_left_out(what: dict[str, Any], gumbel: Path, tmp_path: Path) -> None:
    out = shutil.copytree(gumbel, tmp_path / "out")
    for path in (out / "items").glob("*.npz"):
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept if name not in ("decoding", "drafts", "seal")}
        np.savez_compressed(path, **arrays)
    complete(CompleteOptions.of(**what, out=out, window=4, resume="auto"))
    assert decoding(out) == {"noise": "gumbel", "window": 4, "batches_counted": 0}
    stop(out)
    complete(CompleteOptions.of(**what, out=out, window=4, resume="auto"))
    assert (decoding(out)["batches_counted"], decoding(out)["tokens"]) == (1, 2 * 16)


def test_a_run_may_go_on_with_another_window(what: dict[str, Any], gumbel: Path, tmp_path: Path) -> None:
    out = shutil.copytree(gumbel, tmp_path / "out")
    stop(out)
    complete(CompleteOptions.of(**what, out=out, window=2, resume="auto"))
    assert tokens(out) == tokens(gumbel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 17}, "--window 17 must lie in 1 to the 16 tokens that are sampled, or be auto"),
        ({"window": 2, "noise": "inverse"}, "--window 2 needs --noise gumbel, not inverse"),
    ],
)
def test_windows_that_do_not_fit_are_refused_before_anything_is_written(
    options: dict[str, Any], message: str, what: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        complete(CompleteOptions.of(**what, out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_a_window_may_be_as_long_as_what_is_sampled(what: dict[str, Any], gumbel: Path, tmp_path: Path) -> None:
    assert tokens(complete(CompleteOptions.of(**what, out=tmp_path, window=16))) == tokens(gumbel)


def test_a_run_of_before_there_was_a_choice_is_not_continued_with_other_noise(
    what: dict[str, Any], of_before: Path
) -> None:
    with pytest.raises(RunFolderError, match=r"\(--noise inverse -> gumbel\): give the old ones") as refused:
        complete(CompleteOptions.of(**what, out=of_before, resume="auto"))
    assert "\n" not in str(refused.value)


def test_a_run_of_before_there_was_a_choice_goes_on_with_its_noise(
    what: dict[str, Any], of_before: Path, inverse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(CompleteOptions.of(**what, out=of_before, noise="inverse", resume="auto"))
    assert tokens(of_before) == tokens(inverse)
    assert "made again" not in capsys.readouterr().err
