"""`secondsight scaling run --tasks`: what cannot be measured is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from measured_ladders import World, make_clip_world, make_image_world, options, task_options
from memory_lists import make_list
from tiny import IMAGE, make_images, make_tokenizer

from experiments.scaling.running import run_scaling


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_image_world(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_clip_world(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("list") / "list", items=3)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"tasks": ("memory",), "data": None}, "--tasks memory needs --stimuli"),
        ({"tasks": ("physics",)}, "--tasks physics needs --films"),
        ({"tasks": ("nll", "nll")}, "--tasks nll nll names a value twice"),
        ({"tasks": ("nll",)}, "--tokenizer is for --tasks memory or diversity or physics or reconstruction"),
        ({"exposures": ()}, "--exposures needs at least one value"),
        (
            {"tasks": (), "tokenizer": None, "data": None, "task_options": (Path("options.json"),)},
            "--task-options are for --tasks",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    images: World, tmp_path: Path, others: dict[str, Any], said: str
) -> None:
    given = {"tasks": ("reconstruction",), "tokenizer": images.tokenizer, "data": images.data}
    with pytest.raises(ValueError, match=said):
        options(images.tokens, tmp_path, **{**given, **others})


Refused = Callable[[World, World, Path, Path], tuple[dict[str, Any], str]]


def _other_tokenizer(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    make_tokenizer(IMAGE, seed=5).save_pretrained(tmp / "other")
    asked = {"tasks": ("memory",), "tokenizer": tmp / "other", "stimuli": stimuli}
    return asked, "give the tokenizer that encoded them"


def _images_of_clips(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    asked = {"tokens": clips.tokens, "tasks": ("memory",), "tokenizer": clips.tokenizer, "stimuli": stimuli}
    return asked, r"images of the list have grids of \(1, 4, 4\), those of .* are \(2, 4, 4\)"


def _defects(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    broken = make_list(tmp / "list", items=3)
    foil = broken / "test" / "novel_unseen" / "novel_0.png"
    (broken / "study" / "novel_0.png").rename(broken / "study" / "novel_9.png")
    foil.write_bytes((broken / "study" / "novel_1.png").read_bytes())
    return {"tasks": ("memory",), "tokenizer": images.tokenizer, "stimuli": broken}, "novel_0"


def _other_data(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    further = task_options(tmp / "diversity.json", "diversity run", perceptual="none", features="none")
    data = make_images(tmp / "data")
    asked = {"tasks": ("diversity",), "tokenizer": images.tokenizer, "data": data, "task_options": (further,)}
    return asked, "plain_"


def _one_clip(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    further = task_options(tmp / "diversity.json", "diversity run", perceptual="none", features="none")
    models = {"tokenizer": images.tokenizer, "data": images.data, "task_options": (further,)}
    return {"tasks": ("diversity",), "unique_tokens": (16,), **models}, "tokens-16 is one clip"


def _no_films(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    asked = {"tokens": clips.tokens, "tasks": ("physics",), "tokenizer": clips.tokenizer, "films": clips.data}
    return asked, "manifest"


def _options_of_another_command(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    further = task_options(tmp / "options.json", "memory report")
    return {"tasks": ("nll",), "task_options": (further,)}, "there is no command that measures 'memory report'"


def _options_twice(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    further = (task_options(tmp / "1.json", "gpt eval"), task_options(tmp / "2.json", "gpt eval"))
    return {"tasks": ("nll",), "task_options": further}, "another file has options of `gpt eval`, too"


def _options_of_no_task(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    further = task_options(tmp / "options.json", "physics run", least_kept=0.0)
    return {"tasks": ("nll",), "task_options": (further,)}, "is for --tasks physics: add it, or leave the file out"


def _options_of_no_command(images: World, clips: World, stimuli: Path, tmp: Path) -> tuple[dict[str, Any], str]:
    (tmp / "options.json").write_text("{}")
    return {"tasks": ("nll",), "task_options": (tmp / "options.json",)}, "does not name its `command`"


@pytest.mark.parametrize(
    "make",
    [
        _other_tokenizer,
        _images_of_clips,
        _defects,
        _other_data,
        _one_clip,
        _no_films,
        _options_of_another_command,
        _options_twice,
        _options_of_no_task,
        _options_of_no_command,
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_training(
    images: World, clips: World, stimuli: Path, tmp_path: Path, make: Refused
) -> None:
    others, said = make(images, clips, stimuli, tmp_path)
    with pytest.raises(ValueError, match=said):
        run_scaling(options(**{"tokens": images.tokens, "out": tmp_path / "run", **others}))
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())
