"""A stimulus list is used only if every trial is one between an image studied once and one never studied."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from stimulus_files import copy, draw

from data.errors import StimulusError
from data.stimuli.lists import Stimulus, StimulusList, Trial, read_stimuli, write_manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two trials of the condition `novel`, one of `state`, and two fillers."""
    seeds = {"novel": (1, 2), "state": (3,)}
    for condition, numbers in seeds.items():
        for seed in numbers:
            studied = draw(tmp_path / "study" / condition / f"{seed}.png", seed)
            copy(studied, tmp_path / "test" / f"{condition}_seen" / f"{seed}.png")
            draw(tmp_path / "test" / f"{condition}_unseen" / f"{seed}.png", 100 + seed)
    for seed in (50, 51):
        draw(tmp_path / "study" / f"filler-{seed}.png", seed)
    return tmp_path


def trial(stimuli: StimulusList, item: str) -> Trial:
    return next(trial for trial in stimuli.trials if trial.item == item)


# Pairing


def test_a_list_holds_its_study_images_conditions_and_trials(root: Path) -> None:
    stimuli = read_stimuli(root)
    assert [image.path for image in stimuli.study] == [
        "study/filler-50.png",
        "study/filler-51.png",
        "study/novel/1.png",
        "study/novel/2.png",
        "study/state/3.png",
    ]
    assert stimuli.conditions == ("novel", "state")
    assert [trial.item for trial in stimuli.trials] == ["novel/1.png", "novel/2.png", "state/3.png"]


def test_the_studied_image_of_a_trial_is_the_one_in_the_study_folder(root: Path) -> None:
    pair = trial(read_stimuli(root), "novel/2.png")
    assert (pair.studied.path, pair.foil.path) == ("study/novel/2.png", "test/novel_unseen/2.png")


def test_images_are_all_that_is_studied_or_tested(root: Path) -> None:
    paths = [image.path for image in read_stimuli(root).images]
    assert len(paths) == 5 + 3
    assert paths == sorted(set(paths))


def test_equal_names_pair_whatever_folders_they_are_in(root: Path) -> None:
    unseen = root / "test" / "novel_unseen"
    (unseen / "z").mkdir()
    (unseen / "1.png").rename(unseen / "z" / "1.png")
    assert trial(read_stimuli(root), "novel/1.png").foil.path == "test/novel_unseen/z/1.png"


def test_other_names_pair_in_sorted_order(root: Path) -> None:
    unseen = root / "test" / "novel_unseen"
    (unseen / "1.png").rename(unseen / "y.png")
    (unseen / "2.png").rename(unseen / "x.png")
    stimuli = read_stimuli(root)
    assert trial(stimuli, "novel/1.png").foil.path == "test/novel_unseen/x.png"
    assert trial(stimuli, "novel/2.png").foil.path == "test/novel_unseen/y.png"


def test_equal_names_in_two_folders_of_a_condition_make_two_trials(root: Path) -> None:
    studied = draw(root / "study" / "more" / "1.png", 4)
    copy(studied, root / "test" / "novel_seen" / "more" / "1.png")
    draw(root / "test" / "novel_unseen" / "more" / "1.png", 104)
    items = [trial.item for trial in read_stimuli(root).trials if trial.condition == "novel"]
    assert items == ["novel/1.png", "novel/2.png", "novel/more/1.png"]


@pytest.mark.parametrize("suffix", [".JPG", ".JPE", ".Jpeg"])
def test_odd_suffixes_count(root: Path, suffix: str) -> None:
    studied = draw(root / "study" / "odd.jpg", 5)
    copy(studied, root / "test" / "novel_seen" / f"odd{suffix}")
    draw(root / "test" / "novel_unseen" / "odd.jpg", 105).rename(root / "test" / "novel_unseen" / f"odd{suffix}")
    assert trial(read_stimuli(root), f"novel/odd{suffix}").studied.path == "study/odd.jpg"


def test_names_pair_but_for_a_final_digit_and_the_suffix(root: Path) -> None:
    """Sorted order would pair `Key2` with `b121`."""
    for number, name in enumerate(("Key", "b1", "b12")):
        studied = draw(root / "study" / f"{name}2.png", 70 + number)
        copy(studied, root / "test" / "exemplar_seen" / "right" / f"{name}2.png")
        draw(root / "test" / "exemplar_unseen" / "left" / f"{name.lower()}1.PNG", 170 + number)
    pairs = {trial.item: Path(trial.foil.path).name for trial in read_stimuli(root).trials}
    assert pairs["exemplar/right/Key2.png"] == "key1.PNG"
    assert pairs["exemplar/right/b12.png"] == "b11.PNG"
    assert pairs["exemplar/right/b122.png"] == "b121.PNG"


def test_names_pair_whatever_their_suffix(root: Path) -> None:
    """As `12` is missing, order, or names without their final digit, would pair `13` with it."""
    for number in (11, 12, 13, 14):
        copy(draw(root / "study" / f"{number}.png", number), root / "test" / "exemplar_seen" / f"{number}.png")
        draw(root / "test" / "exemplar_unseen" / f"{number}.bmp", 100 + number)
    (root / "test" / "exemplar_seen" / "12.png").unlink()
    stimuli = read_stimuli(root, exclude_defects=True)
    foils = [Path(trial.foil.path).name for trial in stimuli.trials if trial.condition == "exemplar"]
    assert foils == ["11.bmp", "13.bmp", "14.bmp"]


def test_category_folders_pair_where_names_say_nothing(root: Path) -> None:
    for number, name in enumerate(("cup", "dog")):
        copy(draw(root / "study" / f"{name}.png", 70 + number), root / "test" / "exemplar_seen" / name / f"{name}.png")
        draw(root / "test" / "exemplar_unseen" / name / f"{'zy'[number]}.png", 170 + number)
    draw(root / "test" / "exemplar_unseen" / "ant" / "x.png", 180)
    stimuli = read_stimuli(root, exclude_defects=True)
    foils = [trial.foil.path for trial in stimuli.trials if trial.condition == "exemplar"]
    assert foils == ["test/exemplar_unseen/cup/z.png", "test/exemplar_unseen/dog/y.png"]


def test_a_missing_partner_on_either_side_does_not_shift_the_pairs(root: Path) -> None:
    for number in range(4, 9):
        copy(draw(root / "study" / f"{number}.png", number), root / "test" / "novel_seen" / f"{number}.png")
        draw(root / "test" / "novel_unseen" / f"{number}.png", 100 + number)
    (root / "test" / "novel_seen" / "4.png").unlink()
    (root / "test" / "novel_unseen" / "7.png").unlink()
    stimuli = read_stimuli(root, exclude_defects=True)
    names = [(Path(trial.studied.path).name, Path(trial.foil.path).name) for trial in stimuli.trials]
    assert names == [(f"{number}.png", f"{number}.png") for number in (1, 2, 5, 6, 8, 3)]
    assert [defect.files for defect in stimuli.defects] == [("test/novel_seen/7.png",), ("test/novel_unseen/4.png",)]


@pytest.mark.parametrize("name", ["a cup", "Tasse à café", "杯", "22826448.thl", "-x"])
def test_odd_names_are_names(root: Path, name: str) -> None:
    studied = draw(root / "study" / f"{name}.jpg", 5)
    copy(studied, root / "test" / "novel_seen" / f"{name}.jpg")
    draw(root / "test" / "novel_unseen" / f"{name}.jpg", 105)
    assert trial(read_stimuli(root), f"novel/{name}.jpg").studied.path == f"study/{name}.jpg"


def test_a_copy_under_another_name_and_format_is_recognised_by_its_pixels(root: Path) -> None:
    seen = root / "test" / "novel_seen" / "1.png"
    with Image.open(seen) as image:
        image.save(root / "test" / "novel_seen" / "another.bmp")
    seen.unlink()
    assert trial(read_stimuli(root), "novel/another.bmp").studied.path == "study/novel/1.png"


# Defects


def foil_in_study(root: Path) -> None:
    copy(root / "test" / "novel_unseen" / "1.png", root / "study" / "copy.png")


def unpaired(root: Path) -> None:
    (root / "test" / "novel_unseen" / "2.png").unlink()


def not_studied(root: Path) -> None:
    (root / "study" / "novel" / "1.png").unlink()


def studied_twice(root: Path) -> None:
    copy(root / "study" / "novel" / "1.png", root / "study" / "again.png")


def same_image_on_both_sides(root: Path) -> None:
    copy(root / "test" / "novel_seen" / "1.png", root / "test" / "novel_unseen" / "1.png")


def unreadable_test_image(root: Path) -> None:
    (root / "test" / "novel_unseen" / "1.png").write_bytes(b"")


def tested_twice(root: Path) -> None:
    copy(root / "test" / "novel_seen" / "1.png", root / "test" / "novel_seen" / "9.png")
    draw(root / "test" / "novel_unseen" / "9.png", 109)


def foil_of_two_trials(root: Path) -> None:
    copy(root / "test" / "novel_unseen" / "1.png", root / "test" / "novel_unseen" / "2.png")


def novel_foil_of_studied_category(root: Path) -> None:
    draw(root / "study" / "cup" / "5.png", 60)
    unseen = root / "test" / "novel_unseen"
    (unseen / "cup").mkdir()
    (unseen / "1.png").rename(unseen / "cup" / "1.png")


def names_that_tell_nothing(root: Path) -> None:
    unpaired(root)
    (root / "test" / "novel_unseen" / "1.png").rename(root / "test" / "novel_unseen" / "x.png")


def one_side_only(root: Path) -> None:
    shutil.rmtree(root / "test" / "state_unseen")


def empty_side(root: Path) -> None:
    for path in (root / "test" / "state_seen").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (foil_in_study, r"the foil test/novel_unseen/1\.png is also studied as study/copy\.png"),
        (unpaired, r"has 1 defect: test/novel_seen/2\.png has no partner in novel \("),
        (not_studied, r"test/novel_seen/1\.png is not studied"),
        (studied_twice, r"study/novel/1\.png is studied twice, also as study/again\.png"),
        (same_image_on_both_sides, r"the foil test/novel_unseen/1\.png is also studied as study/novel/1\.png"),
        (unreadable_test_image, r"test/novel_unseen/1\.png cannot be read: .* is empty"),
        (tested_twice, r"test/novel_seen/9\.png is tested twice in novel, also as test/novel_seen/1\.png"),
        (foil_of_two_trials, r"novel_unseen/2\.png is tested twice in novel, also as test/novel_unseen/1\.png"),
        (novel_foil_of_studied_category, r"novel foil .*unseen/cup/1\.png is of a .* studied: study/cup/5\.png"),
        (names_that_tell_nothing, r"novel has 2 seen and 1 unseen images, and their names do not tell"),
        (one_side_only, "only one of the folders _seen and _unseen for state"),
        (empty_side, "state_seen holds no images"),
        (lambda root: shutil.rmtree(root / "test"), r"no folders test/<condition>_seen"),
        (lambda root: shutil.rmtree(root / "study"), "study holds no images"),
    ],
)
def test_a_defect_is_refused_and_named(root: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(root)
    with pytest.raises(StimulusError, match=message):
        read_stimuli(root)


def test_many_defects_are_counted_and_the_first_named(root: Path) -> None:
    for seed in range(12):
        draw(root / "test" / "novel_seen" / f"new-{seed}.png", 200 + seed)
        draw(root / "test" / "novel_unseen" / f"new-{seed}.png", 300 + seed)
    with pytest.raises(StimulusError, match=r"12 defects: .*; and 2 more \(.*--exclude-defects"):
        read_stimuli(root)


def test_an_unreadable_filler_is_skipped_and_listed(root: Path) -> None:
    (root / "study" / "filler-50.png").write_bytes(b"")
    stimuli = read_stimuli(root)
    assert len(stimuli.study) == 4
    assert [skip.file for skip in stimuli.skipped] == ["study/filler-50.png"]


def test_litter_and_notes_are_no_images(root: Path) -> None:
    for name in ("study/._1.png", "study/__MACOSX/2.png", "study/notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"litter")
    stimuli = read_stimuli(root)
    assert (len(stimuli.study), stimuli.skipped) == (5, ())


# Leaving defects out


EXCLUDABLE = [
    (foil_in_study, ["novel/2.png", "state/3.png"], 6),
    (unpaired, ["novel/1.png", "state/3.png"], 5),
    (not_studied, ["novel/2.png", "state/3.png"], 4),
    (studied_twice, ["novel/1.png", "novel/2.png", "state/3.png"], 5),
    (same_image_on_both_sides, ["novel/2.png", "state/3.png"], 5),
    (unreadable_test_image, ["novel/2.png", "state/3.png"], 5),
    (tested_twice, ["novel/1.png", "novel/2.png", "state/3.png"], 5),
    (foil_of_two_trials, ["novel/1.png", "state/3.png"], 5),
    (novel_foil_of_studied_category, ["novel/2.png", "state/3.png"], 6),
]


@pytest.mark.parametrize(("spoil", "left", "studied"), EXCLUDABLE)
def test_defects_can_be_left_out(root: Path, spoil: Callable[[Path], None], left: list[str], studied: int) -> None:
    spoil(root)
    stimuli = read_stimuli(root, exclude_defects=True)
    assert [trial.item for trial in stimuli.trials] == left
    assert len(stimuli.study) == studied
    assert stimuli.defects


def test_the_excluded_are_written_down(root: Path) -> None:
    foil_in_study(root)
    write_manifest(read_stimuli(root, exclude_defects=True), root / "run")
    reason = "the foil test/novel_unseen/1.png is also studied as study/copy.png"
    assert read_csv(root / "run" / "defects.csv") == [
        {"defect": "0", "file": "test/novel_unseen/1.png", "reason": reason},
        {"defect": "0", "file": "study/copy.png", "reason": reason},
    ]


def test_a_list_in_order_has_no_defects_to_leave_out(root: Path) -> None:
    assert read_stimuli(root, exclude_defects=True) == read_stimuli(root)
    assert read_stimuli(root).defects == ()


def test_a_list_of_defects_alone_is_refused(root: Path) -> None:
    shutil.rmtree(root / "study" / "novel")
    shutil.rmtree(root / "study" / "state")
    with pytest.raises(StimulusError, match=r"no trial of the list in .* is without defects: 3 defects"):
        read_stimuli(root, exclude_defects=True)


# Versions


def test_counterbalancing_studies_the_foils_and_tests_against_what_was_studied(root: Path) -> None:
    stimuli = read_stimuli(root)
    swapped = stimuli.counterbalanced()
    assert swapped is not None
    pair = trial(swapped, "novel/1.png")
    assert (pair.studied.path, pair.foil.path) == ("test/novel_unseen/1.png", "study/novel/1.png")
    studied = {image.path for image in swapped.study}
    assert studied == {
        "study/filler-50.png",
        "study/filler-51.png",
        "test/novel_unseen/1.png",
        "test/novel_unseen/2.png",
        "test/state_unseen/3.png",
    }


def test_counterbalancing_twice_gives_the_list_back(root: Path) -> None:
    stimuli = read_stimuli(root)
    swapped = stimuli.counterbalanced()
    assert swapped is not None
    assert swapped.counterbalanced() == stimuli


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19)), min_size=1, max_size=5))
def test_no_version_studies_a_foil(pairs: list[tuple[int, int]]) -> None:
    images = [Stimulus(f"{number}.png", f"digest {number}") for number in range(20)]
    trials = tuple(Trial(str(n), "c", images[seen], images[foil]) for n, (seen, foil) in enumerate(pairs))
    study = tuple(images[number] for number in sorted({seen for seen, _ in pairs}))
    swapped = StimulusList(Path(), study, trials).counterbalanced()
    several_uses = any(len({pair[side] for pair in pairs}) < len(pairs) for side in (0, 1))
    assert (swapped is None) == several_uses
    if swapped is not None:
        assert {trial.foil for trial in swapped.trials}.isdisjoint(swapped.study)
        assert {trial.studied for trial in swapped.trials} == set(swapped.study)


def test_a_foil_in_two_trials_cannot_be_counterbalanced_even_as_a_copy(root: Path) -> None:
    copy(root / "test" / "novel_unseen" / "1.png", root / "test" / "state_unseen" / "3.png")
    assert read_stimuli(root).counterbalanced() is None


def test_a_studied_image_in_two_trials_cannot_be_counterbalanced(root: Path) -> None:
    copy(root / "test" / "novel_seen" / "1.png", root / "test" / "state_seen" / "3.png")
    assert read_stimuli(root).counterbalanced() is None


@pytest.mark.parametrize(("count", "kept"), [(0, []), (1, ["50"]), (9, ["50", "51"])])
def test_fillers_are_limited_and_tested_images_stay(root: Path, count: int, kept: list[str]) -> None:
    stimuli = read_stimuli(root)
    fewer = stimuli.with_fillers(count)
    tested = ["study/novel/1.png", "study/novel/2.png", "study/state/3.png"]
    assert [image.path for image in fewer.study] == [f"study/filler-{name}.png" for name in kept] + tested
    assert fewer.trials == stimuli.trials


# Manifest


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_manifest_tells_every_trial(root: Path) -> None:
    stimuli = read_stimuli(root)
    write_manifest(stimuli, root / "new" / "run")
    rows = read_csv(root / "new" / "run" / "manifest.csv")
    assert rows[0] == {
        "item": "novel/1.png",
        "condition": "novel",
        "studied": "study/novel/1.png",
        "foil": "test/novel_unseen/1.png",
        "studied_sha256": stimuli.trials[0].studied.sha256,
        "foil_sha256": stimuli.trials[0].foil.sha256,
    }
    assert len(rows) == 3


def test_the_manifest_lists_what_is_studied(root: Path) -> None:
    stimuli = read_stimuli(root)
    write_manifest(stimuli, root)
    assert [Stimulus(**row) for row in read_csv(root / "study.csv")] == list(stimuli.study)


def test_the_digest_tells_images_of_other_shapes_apart(root: Path) -> None:
    for name, size in (("wide", (8, 2)), ("high", (2, 8))):
        Image.new("RGB", size).save(root / "study" / f"{name}.png")
    digests = {Path(image.path).stem: image.sha256 for image in read_stimuli(root).study}
    assert digests["wide"] != digests["high"]
