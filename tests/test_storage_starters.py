"""Models that come with the package: asked for by name, wherever a model is, and remembered by it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from starters import found_in, install_starters, save_pair
from tiny import GPT_SHORT, SHORT, make_gpt, make_store, make_videos

import secondsight
from data.tokens import TokenStore
from experiments.diversity.options import StudyOptions
from gpt.init import begin_gpt
from gpt.model import GPT
from gpt.options import TrainOptions as GPTTrainOptions
from release.publish import write_card
from storage.model_paths import CheckpointError, brought_tokenizer, check_model, find_model, is_at_hand, is_named
from storage.run_folder import open_run
from vqgan.grouping import group_by_of
from vqgan.init import begin_tokenizer
from vqgan.model import VQGAN, load_tokenizer
from vqgan.options import TrainOptions

CLIPS = Path("starter-clips")
STILLS = Path("starter-stills")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package `starter` of an installation that has the models of clips, and not those of stills."""
    installation = tmp_path_factory.mktemp("installation")
    package = install_starters(installation, "clips")
    with found_in(installation):
        yield package


@pytest.fixture(autouse=True)
def elsewhere(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_means_the_model_in_the_package(package: Path) -> None:
    assert find_model(CLIPS) == package / "clips"


def test_a_path_that_exists_wins(elsewhere: Path) -> None:
    make_gpt().save_pretrained(elsewhere / "starter-clips")
    assert find_model(CLIPS) == CLIPS


@pytest.mark.parametrize("name", ["starter-clip", "starter_clips", "starters-clips", "Starter-Clips"])
def test_of_a_misspelled_name_the_nearest_is_said(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"{name} holds no model: .*did you mean starter-clips, which comes with"):
        find_model(Path(name))


def test_other_paths_are_not_taken_for_misspelled_names() -> None:
    with pytest.raises(CheckpointError, match=r"there is no such folder$"):
        find_model(Path("clips"))


def test_a_name_without_its_weights_says_what_to_do(package: Path) -> None:
    with pytest.raises(CheckpointError, match=r"starter-stills comes with secondsight, .*lacks its weights.*install"):
        find_model(STILLS)


def test_an_installation_without_the_package_says_the_same(tmp_path: Path) -> None:
    empty = tmp_path / "starter.py"
    empty.write_text("", encoding="utf-8")  # of another program that is called so
    with found_in(tmp_path), pytest.raises(CheckpointError, match=r"starter-clips comes with secondsight, .*lacks its"):
        find_model(CLIPS)


def test_it_is_at_hand_where_its_weights_are() -> None:
    assert is_at_hand(CLIPS)
    assert not is_at_hand(STILLS)
    assert not is_at_hand(Path("starter-clip"))


def test_it_is_asked_for_by_a_name_unless_a_path_is_called_so(elsewhere: Path) -> None:
    assert is_named(CLIPS)
    assert is_named(STILLS)
    assert not is_named(Path("runs"))
    (elsewhere / "starter-clips").mkdir()
    assert not is_named(CLIPS)


def test_it_may_stand_for_a_gpt_and_for_a_tokenizer(package: Path) -> None:
    check_model(CLIPS)
    check_model(CLIPS, "gpt")
    check_model(CLIPS, "vqgan")
    with pytest.raises(CheckpointError, match="starter-clips holds a 'gpt', not a palette"):
        check_model(CLIPS, "palette")


def test_it_brings_its_tokenizer_along(package: Path) -> None:
    assert brought_tokenizer(CLIPS) == package / "clips" / "tokenizer"


def test_python_loads_both_by_the_name() -> None:
    gpt = GPT.from_pretrained("starter-clips")
    assert gpt.config.tokenizer == load_tokenizer("starter-clips").fingerprint
    assert isinstance(VQGAN.from_pretrained("starter-clips"), VQGAN)


def test_names_are_found_without_torch(package: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.modules['torch'] = None; "
        "from storage.model_paths import check_model; check_model(Path('starter-clips'), 'vqgan')"
    )
    root = Path(secondsight.__file__).parent
    code = f"import sys; sys.path[:0] = [{str(package.parent)!r}, {str(root)!r}]; {program}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tokenizer_begins_from_the_one_that_it_brings(elsewhere: Path) -> None:
    words = ["vqgan", "train", "--init", "starter-clips", "--data", "x", "--out", "y"]
    options = secondsight.parse(words)
    assert isinstance(options, TrainOptions)
    assert options.model == SHORT
    fresh = VQGAN(SHORT)
    assert begin_tokenizer(fresh, options) is not None
    assert torch.equal(fresh.encoder.first.weight, load_tokenizer(CLIPS).encoder.first.weight)
    assert fresh.ancestry[0].model == "starter-clips"


def test_a_gpt_begins_from_it(elsewhere: Path) -> None:
    make_store(elsewhere / "store")
    words = ["gpt", "train", "--init", "starter-clips", "--tokens", "store", "--out", "y", "--new-tokenizer", "keep"]
    options = secondsight.parse(words)
    assert isinstance(options, GPTTrainOptions)
    gpt = begin_gpt(options, TokenStore(Path("store"))).gpt
    assert torch.equal(gpt.head.weight, GPT.from_pretrained(CLIPS).head.weight)
    assert gpt.ancestry[0].model == "starter-clips"
    assert gpt.config.width == GPT_SHORT.width


def test_the_tokenizer_that_the_gpt_of_a_folder_brings_is_remembered_by_both(package: Path, elsewhere: Path) -> None:
    fresh = VQGAN(SHORT)
    options = TrainOptions.of(data=Path("x"), out=Path("y"), init=package / "clips")
    begin_tokenizer(fresh, options)
    assert fresh.ancestry[0].model == "clips/tokenizer"


@pytest.mark.parametrize("place", ["final", "."])
def test_of_a_run_it_is_the_tokenizer_of_the_run(elsewhere: Path, place: str) -> None:
    save_pair(elsewhere / "run" / "final")
    (elsewhere / "run" / "final" / "tokenizer").rename(elsewhere / "moved")
    (elsewhere / "moved").rename(elsewhere / "run" / place / "tokenizer")
    fresh = VQGAN(SHORT)
    begin_tokenizer(fresh, TrainOptions.of(data=Path("x"), out=Path("y"), init=Path("run")))
    assert fresh.ancestry[0].model == "run/tokenizer"


def test_records_keep_the_name(elsewhere: Path) -> None:
    options = TrainOptions.of(data=Path("x"), out=Path("y"), init=CLIPS)
    open_run(Path("y"), options)
    assert json.loads((elsewhere / "y" / "config.json").read_text())["init"] == "starter-clips"


def test_a_model_card_names_it(package: Path, elsewhere: Path) -> None:
    fresh = VQGAN(SHORT)
    begin_tokenizer(fresh, TrainOptions.of(data=Path("x"), out=Path("y"), init=CLIPS))
    fresh.save_pretrained(elsewhere / "adapted")
    write_card(elsewhere / "adapted", "adapted")
    card = (elsewhere / "adapted" / "README.md").read_text(encoding="utf-8")
    assert "`starter-clips`" in card
    assert str(package) not in card


def test_it_takes_no_groups_of_a_run_that_a_command_is_given_in(elsewhere: Path) -> None:
    open_run(elsewhere, TrainOptions.of(data=Path("x"), out=elsewhere, group_by="^(.)"))
    assert group_by_of(CLIPS, None, Path("x")) is None


def test_a_study_takes_it(elsewhere: Path) -> None:
    assert StudyOptions.of(out=Path("y"), clip_tokenizer="starter-clips").clip_tokenizer == "starter-clips"


def test_commands_refuse_a_misspelled_name_on_one_line(refused: Callable[..., str], elsewhere: Path) -> None:
    make_videos(elsewhere / "videos")
    said = refused("vqgan", "train", "--init", "starter-clip", "--data", "videos", "--out", "new")
    assert said.startswith("secondsight: starter-clip holds no model: there is no such folder (did you mean starter-")
