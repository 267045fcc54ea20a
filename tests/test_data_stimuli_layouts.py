"""Lists are made from images as their authors distribute them."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killed_commands import run_until
from stimulus_files import copy, draw

from data.errors import StimulusError
from data.options import StimuliOptions
from data.stimuli.layouts import make_stimuli
from data.stimuli.lists import StimulusList, read_stimuli
from secondsight import main
from storage.files import temporary_path


@pytest.fixture
def brady(tmp_path: Path) -> Path:
    """12 single objects, 4 exemplar pairs and 3 state pairs, as downloaded and unpacked."""
    source = tmp_path / "download"
    for number in range(12):
        draw(source / "OBJECTSALL" / (f"A{number}.JPG" if number % 2 else f"2282{number}.thl.jpg"), 5000 + number)
    for number, name in enumerate(("airballoon", "anchor", "cup 1", "Tür")):
        for side in (1, 2):
            draw(source / "Exemplar" / f"{name}{side}.{'JPG' if side == number else 'jpg'}", 100 + 2 * number + side)
    for number, name in enumerate(("abacus", "accordion", "accordionb")):
        for side in (1, 2):
            draw(source / "StatePairs" / f"{name}{side}.jpg", 200 + 2 * number + side)
    for name in ("__MACOSX/OBJECTSALL/._A1.JPG", "OBJECTSALL/._A1.JPG", "OBJECTSALL/Thumbs.db"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"litter")
    return source


@pytest.fixture
def konkle(tmp_path: Path) -> Path:
    """14 categories of 17 images, which suffice for two of each number of exemplars and two novel trials."""
    source = tmp_path / "ObjectCategories"
    for category in range(14):
        for number in range(17):
            draw(source / f"category {category}" / f"{number}.jpg", 100 * category + number)
    return source


def options(kind: Any, *sources: Path, out: Path, **changes: Any) -> StimuliOptions:
    return StimuliOptions(kind, sources, out, **changes)


def trials(stimuli: StimulusList) -> Counter[str]:
    return Counter(trial.condition for trial in stimuli.trials)


def provenance(out: Path) -> Any:
    return json.loads((out / "stimuli.json").read_text())


# Brady


def test_brady_makes_novel_trials_pairs_and_fillers(brady: Path, tmp_path: Path) -> None:
    stimuli = read_stimuli(make_stimuli(options("brady", brady, out=tmp_path / "list", trials=3)))
    assert trials(stimuli) == {"novel": 3, "exemplar": 3, "state": 3}
    assert len(stimuli.study) == 9 + 6


def test_a_list_has_as_many_trials_as_there_are(brady: Path, tmp_path: Path) -> None:
    stimuli = read_stimuli(make_stimuli(options("brady", brady, out=tmp_path / "list")))
    assert trials(stimuli) == {"novel": 6, "exemplar": 4, "state": 3}


def test_pairs_show_the_same_object(brady: Path, tmp_path: Path) -> None:
    make_stimuli(options("brady", brady, out=tmp_path / "list"))
    source = {entry["path"]: Path(entry["source"]).stem for entry in provenance(tmp_path / "list")["images"]}
    stimuli = read_stimuli(tmp_path / "list")
    pairs = [trial for trial in stimuli.trials if trial.condition != "novel"]
    assert all(source[pair.studied.path][:-1] == source[pair.foil.path][:-1] for pair in pairs)
    assert {source[pair.studied.path][-1] for pair in pairs} == {"1", "2"}


def test_the_folders_may_be_given_one_by_one(brady: Path, tmp_path: Path) -> None:
    make_stimuli(options("brady", brady, out=tmp_path / "together"))
    folders = [brady / "StatePairs", brady / "OBJECTSALL", brady / "Exemplar"]
    make_stimuli(options("brady", *folders, out=tmp_path / "apart"))
    assert provenance(tmp_path / "together")["images"] == provenance(tmp_path / "apart")["images"]


def test_single_objects_alone_make_novel_trials(brady: Path, tmp_path: Path) -> None:
    make_stimuli(options("brady", brady / "OBJECTSALL", out=tmp_path / "list", trials=2))
    stimuli = read_stimuli(tmp_path / "list")
    assert (trials(stimuli), len(stimuli.study)) == ({"novel": 2}, 2 + 8)


def test_flat_folders_named_after_the_study_are_recognised(brady: Path, tmp_path: Path) -> None:
    for old, new in (("OBJECTSALL", "Objects"), ("Exemplar", "Exemplar"), ("StatePairs", "State")):
        (brady / old).rename(brady / f"Brady2008{new}")
    assert trials(read_stimuli(make_stimuli(options("brady", brady, out=tmp_path / "list")))).total() == 13


@pytest.mark.parametrize(
    "names", [("cupA", "cupB"), ("cup_a", "cup_b"), ("cup/x", "cup/y"), ("USED/cup", "UNUSED/cup")]
)
def test_pairs_are_told_by_a_letter_or_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    for seed, name in enumerate(names):
        draw(tmp_path / "State" / f"{name}.jpg", seed)
    stimuli = read_stimuli(make_stimuli(options("brady", tmp_path / "State", out=tmp_path / "list")))
    assert len(stimuli.trials) == 1


def test_images_without_a_partner_are_left_out_and_said(brady: Path, tmp_path: Path) -> None:
    (brady / "StatePairs" / "abacus2.jpg").unlink()
    make_stimuli(options("brady", brady, out=tmp_path / "list"))
    reasons = {Path(skip["file"]).name: skip["reason"] for skip in provenance(tmp_path / "list")["left_out"]}
    assert reasons == {"abacus1.jpg": "has no partner, or more than one"}


def test_pairs_that_cannot_be_told_are_refused(tmp_path: Path) -> None:
    for seed, name in enumerate(("left", "right", "up", "down")):
        draw(tmp_path / "Exemplar" / f"{name}.jpg", seed)
    with pytest.raises(StimulusError, match=r"4 of 4 images have no partner .*as cup1\.jpg and cup2\.jpg"):
        make_stimuli(options("brady", tmp_path / "Exemplar", out=tmp_path / "list"))


def test_a_folder_whose_name_tells_nothing_is_refused(brady: Path, tmp_path: Path) -> None:
    (brady / "OBJECTSALL").rename(tmp_path / "images")
    with pytest.raises(StimulusError, match=r"neither .*images nor a folder in it has `objects`"):
        make_stimuli(options("brady", tmp_path / "images", out=tmp_path / "list"))


def test_two_folders_of_one_kind_are_refused(brady: Path, tmp_path: Path) -> None:
    draw(brady / "Objects2" / "1.jpg", 0)
    with pytest.raises(StimulusError, match=r"both .*OBJECTSALL and .*Objects2 hold images of objects"):
        make_stimuli(options("brady", brady, out=tmp_path / "list"))


# Categories


def test_konkle_makes_trials_for_each_number_of_exemplars(konkle: Path, tmp_path: Path) -> None:
    stimuli = read_stimuli(make_stimuli(options("konkle", konkle, out=tmp_path / "list")))
    assert trials(stimuli) == {f"{count}_exemplar": 2 for count in (1, 2, 4, 8, 16)} | {"novel": 2}
    assert len(stimuli.study) == 2 * (1 + 2 + 4 + 8 + 16) + 2


def test_novel_trials_are_between_categories_of_their_own(konkle: Path, tmp_path: Path) -> None:
    make_stimuli(options("konkle", konkle, out=tmp_path / "list"))
    entries = provenance(tmp_path / "list")["images"]
    novel = {Path(entry["source"]).parent for entry in entries if "/novel" in entry["path"]}
    others = {Path(entry["source"]).parent for entry in entries if "/novel" not in entry["path"]}
    assert len(novel) == 4
    assert novel.isdisjoint(others)


def test_novel_trials_may_be_of_single_objects(konkle: Path, brady: Path, tmp_path: Path) -> None:
    sources = [konkle, brady / "OBJECTSALL"]
    make_stimuli(options("konkle", *sources, out=tmp_path / "list"))
    novel = [entry for entry in provenance(tmp_path / "list")["images"] if entry["path"].startswith("study/novel")]
    assert [Path(entry["source"]).parent.name for entry in novel] == ["OBJECTSALL"] * 2


def test_test_items_are_the_tested_ones_and_duplicates_are_left_out(konkle: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(konkle.iterdir()):
        for name in ("0.jpg", "16.jpg"):
            copy(folder / name, folder / "TestItems" / name)
        draw(folder / "Z_Duplicate_3.jpg", 9000 + number)
    make_stimuli(options("konkle", konkle, out=tmp_path / "list"))
    record = provenance(tmp_path / "list")
    entries = record["images"]
    tested = [entry for entry in entries if entry["path"].startswith("test/") and "_exemplar" in entry["path"]]
    assert {Path(entry["source"]).parent.name for entry in tested} == {"TestItems"}
    assert len([skip for skip in record["left_out"] if "Z_Duplicate" in skip["file"]]) == 14


def test_categories_with_few_images_are_tested_with_few_exemplars(konkle: Path, tmp_path: Path) -> None:
    for folder in sorted(konkle.iterdir())[2:]:
        for number in range(9, 17):
            (folder / f"{number}.jpg").unlink()
    stimuli = read_stimuli(make_stimuli(options("konkle", konkle, out=tmp_path / "list")))
    assert trials(stimuli)["16_exemplar"] == 2


def test_a_folder_that_only_wraps_another_is_looked_into(konkle: Path, tmp_path: Path) -> None:
    wrapped = tmp_path / "unpacked" / "ObjectCategories"
    wrapped.parent.mkdir()
    konkle.rename(wrapped)
    (tmp_path / "unpacked" / "__MACOSX").mkdir()
    assert read_stimuli(make_stimuli(options("konkle", wrapped.parent, out=tmp_path / "list"))).trials


def test_scenes_have_up_to_64_exemplars(tmp_path: Path) -> None:
    for category in range(6):
        for number in range(65 if category == 0 else 17):
            draw(tmp_path / "Scenes" / f"{category}" / f"{number}.jpg", 100 * category + number)
    stimuli = read_stimuli(make_stimuli(options("scenes", tmp_path / "Scenes", out=tmp_path / "list")))
    assert stimuli.conditions == ("16_exemplar", "1_exemplar", "4_exemplar", "64_exemplar", "novel")


def test_too_few_categories_are_refused_and_counted(konkle: Path, tmp_path: Path) -> None:
    with pytest.raises(StimulusError, match=r"enough categories .* for 2 trials of each condition, not for 3"):
        make_stimuli(options("konkle", konkle, out=tmp_path / "list", trials=3))


def test_categories_with_too_few_images_are_refused(konkle: Path, tmp_path: Path) -> None:
    for path in konkle.glob("*/16.jpg"):
        path.unlink()
    with pytest.raises(StimulusError, match=r"categories of 17 or more images for 0 trials"):
        make_stimuli(options("konkle", konkle, out=tmp_path / "list"))


# All


@pytest.mark.parametrize("kind", ["brady", "konkle"])
def test_lists_can_be_counterbalanced(kind: str, brady: Path, konkle: Path, tmp_path: Path) -> None:
    source = brady if kind == "brady" else konkle
    assert read_stimuli(make_stimuli(options(kind, source, out=tmp_path / "list"))).counterbalanced() is not None


def test_the_seed_decides(brady: Path, tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        make_stimuli(options("brady", brady, out=tmp_path / name, seed=seed))
    first, again, other = (provenance(tmp_path / name)["images"] for name in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_the_origin_of_every_image_is_written_down(brady: Path, tmp_path: Path) -> None:
    out = make_stimuli(options("brady", brady, out=tmp_path / "list", seed=3))
    record = provenance(out)
    assert (record["options"]["kind"], record["options"]["seed"]) == ("brady", 3)
    written = {str(path.relative_to(out)) for path in out.rglob("*.*") if path.name != "stimuli.json"}
    assert {entry["path"] for entry in record["images"]} == written
    digests = {entry["path"]: entry["sha256"] for entry in record["images"]}
    assert all(digests[image.path] == image.sha256 for image in read_stimuli(out).images)
    assert all((out / entry["path"]).read_bytes() == Path(entry["source"]).read_bytes() for entry in record["images"])


def test_copies_and_unreadable_images_are_left_out_and_said(brady: Path, tmp_path: Path) -> None:
    copy(brady / "Exemplar" / "anchor2.jpg", brady / "OBJECTSALL" / "B.jpg")
    (brady / "OBJECTSALL" / "C.jpg").write_bytes(b"")
    record = provenance(make_stimuli(options("brady", brady, out=tmp_path / "list")))
    reasons = {Path(skip["file"]).name: skip["reason"] for skip in record["left_out"]}
    assert reasons.keys() == {"B.jpg", "C.jpg"}
    assert reasons["B.jpg"] == "shows what another image shows"
    assert "is empty" in reasons["C.jpg"]


def test_equal_names_in_several_folders_are_all_studied(brady: Path, tmp_path: Path) -> None:
    for number, folder in enumerate("abcde"):
        draw(brady / "OBJECTSALL" / folder / "same.jpg", 300 + number)
    stimuli = read_stimuli(make_stimuli(options("brady", brady, out=tmp_path / "list", trials=1)))
    assert len(stimuli.study) == 3 + 15


def test_what_is_there_is_not_written_over(brady: Path, tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "notes.txt").write_text("mine")
    with pytest.raises(StimulusError, match="list is not empty"):
        make_stimuli(options("brady", brady, out=tmp_path / "list"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("appears", ["stimuli.json", "/list"])
def test_an_import_that_was_killed_leaves_nothing_when_it_is_repeated(
    appears: str, brady: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    words = ("data", "stimuli", "--kind", "brady", "--source", brady, "--out", tmp_path / "list")
    run_until(python, appears, *words)
    main([str(word) for word in words])
    assert {path.name for path in tmp_path.iterdir()} == {"download", "list"}
    assert read_stimuli(tmp_path / "list").trials


def test_a_stopped_import_is_not_in_the_way(brady: Path, tmp_path: Path) -> None:
    draw(temporary_path(tmp_path / "list") / "study" / "left_over.jpg", 1)
    out = make_stimuli(options("brady", brady, out=tmp_path / "list"))
    assert not list(out.rglob("left_over.jpg"))
    assert read_stimuli(out).trials


@pytest.mark.parametrize(
    ("name", "message"), [("a.zip", "is not a folder: unpack it first"), ("b", "is not a folder$")]
)
def test_archives_and_missing_folders_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(StimulusError, match=message):
        make_stimuli(options("konkle", tmp_path / name, out=tmp_path / "list"))


@pytest.mark.parametrize(
    ("changes", "message"), [({"source": ()}, "at least one"), ({"trials": 0}, "--trials 0 must be at least 1")]
)
def test_impossible_options_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    valid = options("brady", tmp_path, out=tmp_path / "list")
    with pytest.raises(ValueError, match=message):
        replace(valid, **changes)


def test_the_command_line_makes_a_list(brady: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "list")
    folders = [str(brady / "OBJECTSALL"), str(brady / "Exemplar")]
    main(["data", "stimuli", "--kind", "brady", "--source", *folders, "--out", out, "--trials", "2"])
    said = capsys.readouterr()
    assert "for study and test\nleft out     0 images, listed in stimuli.json" in said.err
    assert said.out.startswith("12 studied images, trials: 2 exemplar, 2 novel; 0 images left out")
