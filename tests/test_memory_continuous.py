"""`memory continuous`: observers that learn on line, one picture at a time."""

import re
from pathlib import Path
from typing import Any

import pytest
from memory_lists import make_list
from torch import Tensor

from experiments.memory.continuous import StreamRow, run_continuous
from experiments.memory.lags import LagRow, read_lags
from experiments.memory.observers.autoencoder import Autoencoder
from experiments.memory.observers.options import ContinuousOptions
from experiments.memory.observers.template import Template
from experiments.observers import ObserverError
from experiments.people.table import read_responses
from storage.tables import read_rows

FAST = ("size=8", "width=8")
NEW_GPT = ("preset=demo", "colours=8", "size=4", "learning_rate=0")


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list", items=10)


def watch(stimuli: Path, out: Path, **others: Any) -> list[LagRow]:
    return run_continuous(ContinuousOptions.of(stimuli=stimuli, out=out, **{"observer": "template", **others}))


@pytest.fixture(scope="module")
def watched(stimuli: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("watched") / "out"
    watch(stimuli, out, seeds=2, size=8)
    return out


def test_a_perfect_store_hits_at_every_lag(watched: Path) -> None:
    rows = read_lags(watched / "lags.csv")
    assert {row.lag for row in rows} == {1, 2, 4, 8, 16, 32, None}
    assert {row.hits for row in rows} == {1.0}


def test_an_untrained_gpt_has_a_d_prime_of_0_within_its_interval(stimuli: Path, tmp_path: Path) -> None:
    rows = watch(stimuli, tmp_path / "out", observer="gpt", settings=NEW_GPT, seeds=2)
    assert len(rows) > 1
    for row in rows:
        assert row.d_prime_low_images is None or row.d_prime_low_images <= 0
        assert row.d_prime_high_images is None or row.d_prime_high_images >= 0
        assert row.auc_low_images <= 0.5 <= row.auc_high_images


def test_every_showing_has_a_row_and_is_an_answer(watched: Path) -> None:
    rows = read_rows(watched / "stream.csv", StreamRow)
    responses = read_responses(watched / "responses.csv").rows
    assert len(rows) == len(responses)
    for row, response in zip(rows, responses, strict=True):
        assert (response.item, response.lag, response.trial) == (row.path, row.lag, row.trial)
        assert response.response == ("repeat" if row.score < row.criterion else "new")
    assert {response.participant for response in responses} == {"template 0", "template 1"}


def test_a_picture_is_judged_before_it_is_studied(watched: Path) -> None:
    first = [row for row in read_rows(watched / "stream.csv", StreamRow) if row.lag is None and row.trial]
    assert min(row.score for row in first) > 0


def test_a_stream_that_failed_goes_on_with_the_same_scores(
    stimuli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"observer": "autoencoder", "settings": FAST, "images": 20, "resume": "auto"}
    scored: list[int] = []
    score = Autoencoder.score

    def fail(self: Autoencoder, images: Tensor) -> Tensor:
        scored.append(len(images))
        if len(scored) == 15:
            raise RuntimeError("killed")
        return score(self, images)

    with monkeypatch.context() as context:
        context.setattr(Autoencoder, "score", fail)
        with pytest.raises(ObserverError, match=r"failed at the test after picture 14 .RuntimeError: killed"):
            watch(stimuli, tmp_path / "out", **asked)
        watch(stimuli, tmp_path / "out", **asked)
    assert len(scored) == 15 + 25 - 14, "what was judged is not judged again"
    watch(stimuli, tmp_path / "whole", **asked)
    assert (tmp_path / "out" / "stream.csv").read_bytes() == (tmp_path / "whole" / "stream.csv").read_bytes()


def test_observers_that_saw_it_before_are_put_beside(stimuli: Path, watched: Path, tmp_path: Path) -> None:
    watch(stimuli, tmp_path / "out", observer="chance", images=12, beside=(watched,))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "chance" in page
    assert "template" in page
    assert {row.model for row in read_lags(tmp_path / "out" / "lags.csv")} == {"chance"}


def test_the_same_observer_of_the_same_list_is_not_put_beside_itself(
    stimuli: Path, watched: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="has template on the list list, as this run has: they would share a line"):
        watch(stimuli, tmp_path / "out", beside=(watched,))
    with pytest.raises(ValueError, match=f"has template on the list list, as {re.escape(str(watched))} has"):
        watch(stimuli, tmp_path / "out", observer="chance", beside=(watched, watched))
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"images": 1000}, "--images 1000 is more than the 42 images"),
        ({"images": 4}, "a stream needs more than 4 pictures, not 4"),
        ({"lags": (64, 128)}, "a stream of 42 pictures is too short for lags of 64, 128"),
        ({"lags": (1, 1)}, "--lags needs at least one, and none twice"),
        ({"lags": ()}, "--lags needs at least one"),
        ({"observer": None}, "--observer must name who sees the stream"),
    ],
)
def test_what_makes_no_stream_is_refused(stimuli: Path, tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        watch(stimuli, tmp_path / "out", **others)
    assert not (tmp_path / "out" / "config.json").exists()


def test_readouts_without_one_that_counts_are_refused(
    stimuli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Template, "score", lambda self, images: {"edges": images[:, 0, 0, 0]})
    with pytest.raises(ObserverError, match="returned scores by edges: one `weights` is needed"):
        watch(stimuli, tmp_path / "out")
