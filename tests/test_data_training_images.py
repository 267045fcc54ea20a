"""A run folder tells which stimuli its model was trained on."""

from pathlib import Path

import pytest
from stimulus_files import copy, draw

from data.media import catalogue
from data.sources import Source
from data.stimuli.lists import StimulusList, read_stimuli
from data.training_images import IMAGES, shared_images, trained_images, write_training_images
from storage.run_folder import open_run, read_options
from vqgan.options import TrainOptions


@pytest.fixture
def stimuli(tmp_path: Path) -> StimulusList:
    """One trial and a filler."""
    root = tmp_path / "list"
    copy(draw(root / "study" / "1.png", 1), root / "test" / "novel_seen" / "1.png")
    draw(root / "test" / "novel_unseen" / "1.png", 2)
    draw(root / "study" / "2.png", 3)
    return read_stimuli(root)


def sources(*paths: Path) -> list[Source]:
    return [source for path in paths for source in catalogue(path).sources]


def training_data(run: Path) -> Path:
    """The data that a tokenizer was trained on."""
    return read_options(run, TrainOptions).data


def test_a_training_image_is_recognised_under_another_name(stimuli: StimulusList, tmp_path: Path) -> None:
    foil = copy(stimuli.root / "test" / "novel_unseen" / "1.png", tmp_path / "photos" / "other.png")
    write_training_images(tmp_path / "run", sources(draw(tmp_path / "photos" / "1.png", 9), foil))
    trained = trained_images(stimuli, tmp_path / "run", training_data)
    assert [image.path for image in trained] == ["test/novel_unseen/1.png"]


@pytest.mark.parametrize("model", [".", "final", "checkpoints/00000010"])
def test_every_model_of_a_run_tells(stimuli: StimulusList, tmp_path: Path, model: str) -> None:
    (tmp_path / "run" / model).mkdir(parents=True)
    write_training_images(tmp_path / "run", sources(stimuli.root / "study" / "2.png"))
    assert [image.path for image in trained_images(stimuli, tmp_path / "run" / model, training_data)] == ["study/2.png"]


def test_the_list_of_an_earlier_version_tells(stimuli: StimulusList, tmp_path: Path) -> None:
    write_training_images(tmp_path / "run", sources(stimuli.root / "study" / "2.png"))
    (tmp_path / "run" / IMAGES).rename(tmp_path / "run" / "training_pictures.csv")
    assert [image.path for image in trained_images(stimuli, tmp_path / "run", training_data)] == ["study/2.png"]


@pytest.mark.parametrize("name", ["hf:owner/name", "starter-clips"])
def test_a_model_of_a_name_is_not_of_the_run_that_a_command_is_given_in(
    stimuli: StimulusList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_training_images(tmp_path, sources(stimuli.root / "study" / "2.png"))
    monkeypatch.chdir(tmp_path)
    assert trained_images(stimuli, Path(name), training_data) == ()


def test_videos_are_not_listed(tmp_path: Path) -> None:
    write_training_images(tmp_path / "run", [Source("1.mp4", tmp_path / "1.mp4", "video")])
    assert (tmp_path / "run" / IMAGES).read_text().splitlines() == ["source,sha256"]


@pytest.mark.parametrize(("data", "known"), [(".", 3), ("test", 1), ("../list", 3), ("elsewhere", 0)])
def test_without_a_list_the_folder_of_training_data_counts(
    stimuli: StimulusList, tmp_path: Path, data: str, known: int
) -> None:
    (tmp_path / "run" / "final").mkdir(parents=True)
    (tmp_path / "run" / "final" / "config.json").write_text('{"kind": "vqgan"}')
    open_run(tmp_path / "run", TrainOptions(data=stimuli.root / data, out=tmp_path / "run"))
    assert len(trained_images(stimuli, tmp_path / "run" / "final", training_data)) == known


@pytest.mark.parametrize("config", [None, "{", "[]", '{"data": 3}'])
def test_a_model_that_tells_nothing_gives_nothing(stimuli: StimulusList, tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert trained_images(stimuli, tmp_path, training_data) == ()


def test_a_damaged_list_is_refused(stimuli: StimulusList, tmp_path: Path) -> None:
    (tmp_path / IMAGES).write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no column sha256"):
        trained_images(stimuli, tmp_path, training_data)


def test_shared_images_are_those_with_the_digests(stimuli: StimulusList) -> None:
    first, *others = stimuli.images
    assert shared_images(stimuli, {first.sha256, "0" * 64}) == (first,)
    assert shared_images(stimuli, {image.sha256 for image in others}) == tuple(others)
