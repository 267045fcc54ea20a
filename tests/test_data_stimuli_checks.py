"""Lists with several exemplars of a category (Konkle et al., 2010) hold what their folders say."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stimulus_files import copy, draw

from data.errors import StimulusError
from data.stimuli.lists import read_stimuli

CATEGORIES = {1: ("axe", "bell"), 2: ("cup", "dog"), 4: ("egg", "fan")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two trials of novel and of 1, 2 and 4 exemplars; as published, novel trials test the single exemplars."""
    seed = 0
    for count, names in CATEGORIES.items():
        for name in names:
            for number in range(count):
                seed += 1
                studied = draw(tmp_path / "study" / f"{count}_exemplar" / name / f"{number}.png", seed)
            copy(studied, tmp_path / "test" / f"{count}_exemplar_seen" / name / "studied.png")
            draw(tmp_path / "test" / f"{count}_exemplar_unseen" / name / f"x-{seed}.png", 100 + seed)
            if count == 1:
                copy(studied, tmp_path / "test" / "novel_seen" / name / "studied.png")
                draw(tmp_path / "test" / "novel_unseen" / f"new-{name}" / "0.png", 200 + seed)
    return tmp_path


def test_pairs_are_within_categories(root: Path) -> None:
    pairs = [
        (trial.condition, Path(trial.studied.path).parts[2], Path(trial.foil.path).parts[2])
        for trial in read_stimuli(root).trials
        if trial.condition != "novel"
    ]
    assert pairs == [(f"{count}_exemplar", name, name) for count, names in CATEGORIES.items() for name in names]


def test_every_condition_is_there_and_every_exemplar_studied(root: Path) -> None:
    stimuli = read_stimuli(root)
    assert stimuli.conditions == ("1_exemplar", "2_exemplar", "4_exemplar", "novel")
    assert len(stimuli.study) == 2 * (1 + 2 + 4)


def test_conditions_that_share_images_cannot_be_counterbalanced(root: Path) -> None:
    assert read_stimuli(root).counterbalanced() is None


@pytest.mark.parametrize("name", ["0.jpe", "0.JPE"])
def test_an_odd_suffix_counts_as_an_exemplar(root: Path, name: str) -> None:
    folder = root / "study" / "2_exemplar" / "cup"
    draw(folder / "0.jpg", 90).rename(folder / name)
    (folder / "0.png").unlink()
    assert f"study/2_exemplar/cup/{name}" in [image.path for image in read_stimuli(root).study]


# Defects


def exemplar_missing(root: Path) -> None:
    (root / "study" / "4_exemplar" / "egg" / "0.png").unlink()


def exemplar_unreadable(root: Path) -> None:
    (root / "study" / "4_exemplar" / "egg" / "0.png").write_bytes(b"")


def exemplar_too_many(root: Path) -> None:
    draw(root / "study" / "4_exemplar" / "egg" / "9.png", 90)


def category_in_two_conditions(root: Path) -> None:
    """As in the published list 2, where single exemplars are also among sixteen."""
    copy(root / "study" / "1_exemplar" / "axe" / "0.png", root / "study" / "4_exemplar" / "axe" / "0.png")
    for number in (1, 2, 3):
        draw(root / "study" / "4_exemplar" / "axe" / f"{number}.png", 90 + number)


def seen_of_another_category(root: Path) -> None:
    copy(root / "study" / "2_exemplar" / "dog" / "0.png", root / "test" / "2_exemplar_seen" / "cup" / "studied.png")


def foil_of_another_category(root: Path) -> None:
    (root / "test" / "2_exemplar_unseen" / "cup").rename(root / "test" / "2_exemplar_unseen" / "saucer")


def foil_studied(root: Path) -> None:
    foil = next((root / "test" / "2_exemplar_unseen" / "cup").iterdir())
    copy(foil, root / "study" / "2_exemplar" / "cup" / "0.png")


def novel_foil_of_studied_category(root: Path) -> None:
    (root / "test" / "novel_unseen" / "new-axe").rename(root / "test" / "novel_unseen" / "fan")


def novel_seen_of_many(root: Path) -> None:
    copy(root / "study" / "4_exemplar" / "fan" / "0.png", root / "test" / "novel_seen" / "axe" / "studied.png")


DEFECTS = [
    (exemplar_missing, r"3 images of egg are studied in 4_exemplar, not 4", {"4_exemplar/egg"}),
    (exemplar_unreadable, r"3 images of egg are studied in 4_exemplar, not 4", {"4_exemplar/egg"}),
    (exemplar_too_many, r"5 images of egg are studied in 4_exemplar, not 4", {"4_exemplar/egg"}),
    (category_in_two_conditions, r"category axe is also studied with 4 exemplars", {"1_exemplar/axe", "novel/axe"}),
    (seen_of_another_category, r"seen/cup/studied\.png is not studied in study/2_exemplar/cup", {"2_exemplar/cup"}),
    (foil_of_another_category, r"unseen/saucer/x-4\.png has no partner in 2_exemplar", {"2_exemplar/cup"}),
    (foil_studied, r"the foil .*unseen/cup/x-4\.png is also studied", {"2_exemplar/cup"}),
    (novel_foil_of_studied_category, r"novel foil .*unseen/fan/0\.png is of a category that is", {"novel/axe"}),
    (novel_seen_of_many, r"novel_seen/axe/studied\.png .* one of several .*: study/4_exemplar/fan", {"novel/axe"}),
]


@pytest.mark.parametrize(("spoil", "message", "lost"), DEFECTS)
def test_a_defect_is_refused(root: Path, spoil: Callable[[Path], None], message: str, lost: set[str]) -> None:
    spoil(root)
    with pytest.raises(StimulusError, match=message):
        read_stimuli(root)


@pytest.mark.parametrize(("spoil", "message", "lost"), DEFECTS)
def test_only_the_trials_with_defects_are_left_out(
    root: Path, spoil: Callable[[Path], None], message: str, lost: set[str]
) -> None:
    items = {str(Path(trial.item).parent) for trial in read_stimuli(root).trials}
    spoil(root)
    left = {str(Path(trial.item).parent) for trial in read_stimuli(root, exclude_defects=True).trials}
    assert left == items - lost


def test_an_image_studied_in_two_conditions_is_studied_once_when_defects_are_left_out(root: Path) -> None:
    category_in_two_conditions(root)
    study = read_stimuli(root, exclude_defects=True).study
    assert "study/1_exemplar/axe/0.png" in [image.path for image in study]
    digests = [image.sha256 for image in study]
    assert len(digests) == len(set(digests)) == 2 * (1 + 2 + 4) + 3


def test_folders_that_hold_both_sides_of_novel_trials_are_no_categories(tmp_path: Path) -> None:
    studied = draw(tmp_path / "study" / "set" / "0.png", 0)
    copy(studied, tmp_path / "test" / "novel_seen" / "set" / "0.png")
    draw(tmp_path / "test" / "novel_unseen" / "set" / "0.png", 1)
    assert len(read_stimuli(tmp_path).trials) == 1


def test_a_side_without_images_is_refused(root: Path) -> None:
    shutil.rmtree(root / "test" / "2_exemplar_unseen" / "cup")
    shutil.rmtree(root / "test" / "2_exemplar_unseen" / "dog")
    with pytest.raises(StimulusError, match=r"2_exemplar_unseen holds no images"):
        read_stimuli(root)
