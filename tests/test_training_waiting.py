"""Processes wait for the first with patience, and notice when they were not given the same."""

from pathlib import Path

import pytest
from tiny import make_store, make_videos
from trainer import job, start_two

from training.waiting import check_alike, patient_group


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


def test_one_process_has_nobody_to_wait_for() -> None:
    assert patient_group() is None


def test_one_process_agrees_with_itself() -> None:
    check_alike("digest", "list", "see the same")


def test_the_others_wait_longer_than_their_operations_may_take(videos: Path, tmp_path: Path) -> None:
    slow = job("tokenizer", videos, tmp_path / "run", steps=1, scan_seconds=3, timeout=1)
    for trainer in start_two([slow], tmp_path / "log"):
        trainer.finish()


@pytest.mark.parametrize(
    ("kind", "what"), [("gpt", "token store than process 0: let all of them see the same --tokens")]
)
def test_processes_that_were_given_different_data_are_named(kind: str, what: str, tmp_path: Path) -> None:
    stores = [make_store(tmp_path / "one"), make_store(tmp_path / "other", items=13)]
    jobs = [[job(kind, store, tmp_path / "run")] for store in stores]
    trainers = start_two(jobs[0], tmp_path / "log", others=jobs[1])
    assert [trainer.end() for trainer in trainers] == [1, 1]
    for trainer in trainers:
        assert f"process 1 of 2 has another {what}" in trainer.log.read_text()
    assert not (tmp_path / "run" / "config.json").exists()


def test_processes_that_were_given_different_precisions_are_named(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    one, other = ([job("gpt", store, tmp_path / "run", precision=name)] for name in ("fp32", "bf16!"))
    trainers = start_two(one, tmp_path / "log", others=other)
    assert [trainer.end() for trainer in trainers] == [1, 1]
    for trainer in trainers:
        assert "process 1 of 2 has another precision than process 0: give --precision" in trainer.log.read_text()
