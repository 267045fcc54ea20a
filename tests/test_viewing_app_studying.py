"""The recognition experiment of the app: what `memory run` makes of the same list, and the model stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from app_models import make_models
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import IMAGE, SHORT

from data.errors import StimulusError
from data.images import clip_to_image
from data.playroom.make import plan_trials, render_object
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions
from experiments.statistics.trials import TrialRow, read_trials
from viewing.app.jobs import StoppedError, Worker
from viewing.app.models import Models, Pair
from viewing.app.studying import (
    AS_GIVEN,
    MOST_TRIALS,
    SMALLEST_TOY,
    SWAPPED,
    StudyList,
    chance_of,
    learning_options,
    render_list,
    share_correct,
    take_test,
    upload_list,
)

RATE = 1e-2
SEED = 3


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A tiny model of still images."""
    return make_models(tmp_path_factory.mktemp("models"), IMAGE)


@pytest.fixture(scope="module")
def study() -> StudyList:
    """Three pictures to study."""
    return render_list("novel", 3, SEED, 16)


def taken(pair: Pair, study: StudyList, exposures: int = 2) -> tuple[TrialRow, ...]:
    """Return the trials of a model."""
    worker = Worker(300)
    job = worker.start(lambda job: take_test(pair, study, learning_options(exposures, RATE), job))
    rows = job.result()
    worker.close()
    return rows


def number_of(row: TrialRow) -> int:
    """Return the number of a trial in its list, in whose name it stands."""
    return int("".join(filter(str.isdigit, row.item)))


def test_the_trials_are_those_of_the_command_line(models: Models, study: StudyList, tmp_path: Path) -> None:
    pair = models.pairs[0]
    for trial in plan_trials(3, SEED)[:3]:
        studied, foil = (clip_to_image(render_object(*toy, seed=SEED, size=SMALLEST_TOY)) for toy in trial[2:])
        for folder, image in (("study", studied), ("test/novel_seen", studied), ("test/novel_unseen", foil)):
            (tmp_path / "list" / folder).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "list" / folder / f"{trial.name}.png")
    run_memory(
        MemoryOptions.of(
            stimuli=tmp_path / "list",
            out=tmp_path / "run",
            gpt=pair.gpt_path,
            tokenizer=pair.tokenizer_path,
            exposures=2,
            learning_rate=RATE,
            seed=SEED,
        )
    )
    found = {
        (row.version, row.exposure, number_of(row)): (row.nll_studied, row.nll_foil)
        for row in read_trials(tmp_path / "run" / "trials.csv")
        if row.exposure in (0, 2)  # the app tests before and after alone
    }
    ours = {(row.version, row.exposure, number_of(row)): (row.nll_studied, row.nll_foil) for row in taken(pair, study)}
    assert ours.keys() == found.keys()
    for key, values in ours.items():
        assert values == pytest.approx(found[key], rel=1e-5), key


def test_the_model_stays_as_it_was(models: Models, study: StudyList) -> None:
    gpt = models.pairs[0].gpt
    before = {name: tensor.clone() for name, tensor in gpt.state_dict().items()}
    taken(models.pairs[0], study)
    assert all(torch.equal(before[name], tensor) for name, tensor in gpt.state_dict().items())
    assert not gpt.training
    assert all(parameter.grad is None for parameter in gpt.parameters())


def test_before_study_both_versions_together_are_at_chance_and_after_it_above(models: Models, study: StudyList) -> None:
    rows = taken(models.pairs[0], study, exposures=4)
    assert share_correct(rows, 0, AS_GIVEN, SWAPPED) == 0.5
    assert share_correct(rows, 4, AS_GIVEN, SWAPPED) > 0.5
    assert taken(models.pairs[0], study, exposures=4) == rows


def test_a_model_of_clips_studies_pictures_too(tmp_path: Path, study: StudyList) -> None:
    rows = taken(make_models(tmp_path, SHORT).pairs[0], study, exposures=1)
    assert {row.exposure for row in rows} == {0, 1}
    assert all(row.nll_studied > 0 for row in rows)


def test_studying_is_stopped(models: Models, study: StudyList) -> None:
    worker = Worker(300)
    job = worker.start(lambda job: take_test(models.pairs[0], study, learning_options(20, RATE), job))
    assert next(iter(job.watch())) >= 1
    job.stop()
    with pytest.raises(StoppedError):
        job.result()
    worker.close()


def pictures(count: int) -> list[torch.Tensor]:
    """Return pictures (3, 1, 4, 4) of one level each, all different."""
    return [torch.full((3, 1, 4, 4), 2 * number / 64 - 1) for number in range(count)]


@settings(max_examples=15)
@given(count=st.integers(4, 2 * MOST_TRIALS), seed=st.integers(0, 2**31))
def test_every_uploaded_picture_is_studied_or_new_and_sides_are_balanced(count: int, seed: int) -> None:
    made = upload_list(pictures(count), seed)
    used = [image.sha256 for trial in made.trials for image in (trial.studied, trial.foil)]
    assert len(set(used)) == 2 * (count // 2)
    assert {image.sha256 for image in made.stimuli.study} == {trial.studied.sha256 for trial in made.trials}
    left = sum(made.studied_left)
    assert left in (len(made.trials) // 2, (len(made.trials) + 1) // 2)
    again = upload_list(pictures(count), seed)
    assert (again.stimuli, again.studied_left) == (made.stimuli, made.studied_left)
    assert all(made.is_correct(index, side) for index, side in enumerate(made.studied_left))


@pytest.mark.parametrize(
    ("brought", "said"),
    [
        (pictures(3), "too few"),
        (pictures(2 * MOST_TRIALS + 2), "too many"),
        ([*pictures(3), pictures(3)[1]], "are the same"),
    ],
)
def test_lists_that_are_no_test_are_refused(brought: list[torch.Tensor], said: str) -> None:
    with pytest.raises(StimulusError, match=said):
        upload_list(brought, 0)


@pytest.mark.parametrize("condition", ["exemplar", "state"])
def test_toys_of_every_condition_are_rendered(condition: str) -> None:
    made = render_list(condition, 2, 0, 16)
    assert {trial.condition for trial in made.trials} == {condition}
    assert {picture.shape for picture in made.pictures.values()} == {(3, 1, 16, 16)}


def test_chance_is_the_binomial_tail() -> None:
    assert chance_of(0, 6) == 1
    assert chance_of(5, 6) == pytest.approx(7 / 64)
    assert chance_of(3, 3) == pytest.approx(1 / 8)
