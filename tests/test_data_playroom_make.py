"""The playroom: same integers, same pixels; real perspective; trials that obey their condition."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data.images import image_to_clip, load_image
from data.options import PlayroomOptions
from data.playroom.creatures import STATES, Vector
from data.playroom.make import (
    CLEAR_CHANGE,
    CONDITIONS,
    Trial,
    make_playroom,
    one_thread,
    plan_trials,
    render_clip,
    render_object,
    render_walk,
    visible_change,
    write_clips,
    write_objects,
)
from data.playroom.room import Walk, make_scene, make_walk
from data.playroom.solids import BALL, BOX, TUBE, Solids
from data.playroom.toys import CATEGORIES, make_toy


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """(4, 3, 8, 32, 32): the first clips of world 7."""
    return torch.stack([render_clip(7, index, size=32, frames=8) for index in range(4)])


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return plan_trials(6, seed=3)


def solid(kind: int, taper: float = 1.0) -> Solids:
    return Solids(
        kind=torch.tensor([kind]),
        centre=torch.zeros(1, 3),
        axes=torch.eye(3)[None],
        half=torch.ones(1, 3),
        taper=torch.tensor([taper]),
        colours=torch.rand(1, 2, 3, generator=torch.Generator().manual_seed(0)),
        pattern=torch.tensor([0]),
    )


def test_same_seed_gives_same_pixels(clips: Tensor) -> None:
    assert torch.equal(render_clip(7, 2, size=32, frames=8), clips[2])


def test_another_seed_gives_another_clip(clips: Tensor) -> None:
    assert (render_clip(8, 2, size=32, frames=8) - clips[2]).abs().mean() > 0.05


def test_the_global_generator_is_neither_used_nor_moved(clips: Tensor) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(render_clip(7, 1, size=32, frames=8), clips[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_shorter_clip_is_the_beginning_of_a_longer_one(clips: Tensor) -> None:
    assert torch.equal(render_clip(7, 3, size=32, frames=3), clips[3, :, :3])


def test_thread_count_does_not_change_pixels(clips: Tensor) -> None:
    torch.set_num_threads(2)
    try:
        assert torch.equal(render_clip(7, 0, size=32, frames=8), clips[0])
    finally:
        torch.set_num_threads(1)


def test_clip_has_the_promised_shape_dtype_and_range() -> None:
    clip = render_clip(0, 0)
    assert (clip.shape, clip.dtype) == ((3, 16, 64, 64), torch.float32)
    assert -1 <= clip.min() < -0.3
    assert 0.3 < clip.max() <= 1


def test_consecutive_frames_overlap_and_yet_move(clips: Tensor) -> None:
    steps = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean((1, 2, 3, 4))
    assert (steps > 0.01).all()
    assert (steps < 0.15).all()


def test_clips_differ_more_from_each_other_than_frames_do(clips: Tensor) -> None:
    steps = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean()
    assert torch.pdist(clips.flatten(1), p=1).min() / clips[0].numel() > 2 * steps


def test_gaze_mostly_turns_slowly() -> None:
    walks = [make_walk(0, index, 16, 8.0) for index in range(40)]
    gaze = torch.nn.functional.normalize(torch.stack([w.target - w.eye for w in walks]), dim=-1)
    degrees = (gaze[:, 1:] * gaze[:, :-1]).sum(-1).clamp(max=1).acos().rad2deg() * 8.0
    assert (degrees < 15).float().mean() > 0.75
    assert degrees.max() > 20


def test_head_stays_inside_the_room_for_minutes() -> None:
    walk, scene = make_walk(0, 5, 1500, 8.0), make_scene(0, 5)
    assert (walk.eye[:, :2].abs() < scene.surfaces.half[:2] - 0.2).all()
    assert ((walk.eye[:, 2] > 0.6) & (walk.eye[:, 2] < 1.1)).all()


def test_sidestep_moves_near_things_more_than_far_ones() -> None:
    eye = torch.tensor([[0.0, -2.0, 0.8], [0.2, -2.0, 0.8]])
    walk = Walk(eye, eye + torch.tensor([0.0, 1.0, -0.15]), torch.zeros(2))
    scene = make_scene(0, 0)
    empty = render_walk(replace(scene, toys=()), walk, 64)
    shifts = []
    for distance in (1.0, 3.5):
        toy = make_toy(0, 0, 0).placed(torch.tensor([0.1, distance - 2.0, 0.3]), 0.0, 0.5)
        seen = (render_walk(replace(scene, toys=(toy,)), walk, 64) - empty).abs().sum(0) > 0.1
        columns = (seen * torch.arange(64.0)).sum((1, 2)) / seen.sum((1, 2))
        shifts.append(float(columns[0] - columns[1]))
    assert shifts[0] > 2 * shifts[1] > 1


def test_near_toy_hides_a_far_one() -> None:
    eye = torch.tensor([[0.0, -2.0, 0.5]])
    walk = Walk(eye, eye + torch.tensor([0.0, 1.0, 0.0]), torch.zeros(1))
    near, far = (solid(BALL).placed(torch.tensor([0.0, y, 0.5]), 0.0, 0.3) for y in (-0.8, 1.0))
    far = replace(far, colours=1 - far.colours)
    scene = replace(make_scene(0, 0), toys=(near, far))
    swapped, alone = replace(scene, toys=(far, near)), replace(scene, toys=(near,))
    assert torch.equal(render_walk(scene, walk, 32)[..., 16, 16], render_walk(alone, walk, 32)[..., 16, 16])
    assert torch.equal(render_walk(scene, walk, 32), render_walk(swapped, walk, 32))


@pytest.mark.parametrize(
    ("body", "origin", "direction", "distance", "normal"),
    [
        (solid(BALL), (0.0, 0.0, 3.0), (0.0, 0.0, -1.0), 2.0, (0.0, 0.0, 1.0)),
        (solid(BOX), (-3.0, 0.5, 0.2), (1.0, 0.0, 0.0), 2.0, (-1.0, 0.0, 0.0)),
        (solid(TUBE), (0.0, -3.0, 0.5), (0.0, 1.0, 0.0), 2.0, (0.0, -1.0, 0.0)),
        (solid(TUBE), (0.5, 0.0, 3.0), (0.0, 0.0, -1.0), 2.0, (0.0, 0.0, 1.0)),
        (solid(TUBE, taper=0.0), (3.0, 0.0, 0.0), (-1.0, 0.0, 0.0), 2.5, (0.8944, 0.0, 0.4472)),
    ],
    ids=["ball", "box", "tube mantle", "tube cap", "cone mantle"],
)
def test_rays_meet_solids_where_geometry_says(
    body: Solids, origin: Vector, direction: Vector, distance: float, normal: Vector
) -> None:
    start, step = torch.tensor([origin]), torch.tensor([direction])
    met, number = body.cast(start, step)
    facing, _ = body.surface(start + met[:, None] * step, number)
    torch.testing.assert_close(met, torch.tensor([distance]), atol=1e-4, rtol=0)
    torch.testing.assert_close(facing, torch.tensor([normal]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", [BALL, BOX, TUBE])
def test_rays_that_pass_by_meet_nothing(kind: int) -> None:
    met, _ = solid(kind).cast(torch.tensor([[0.0, 1.2, 3.0]]), torch.tensor([[0.0, 0.0, -1.0]]))
    assert met.isinf().all()


def test_sphere_around_a_toy_cuts_nothing_off() -> None:
    for category in range(len(CATEGORIES)):
        toy = make_toy(category, 1, 1)
        centre, radius = toy.sphere()
        for direction in torch.nn.functional.normalize(torch.eye(3) + 0.3, dim=-1):
            low, high = toy.reach(direction)
            middle = float(centre @ direction)
            assert middle - radius - 0.15 < low < high < middle + radius + 0.15


def test_object_fills_most_of_a_white_frame() -> None:
    for category in range(len(CATEGORIES)):
        images = torch.stack([render_object(category, 0, state, size=32) for state in range(STATES)])
        ink = (images < 0.9).any(1)[:, 0].any(0)
        assert images[:, :, :, [0, -1], [0, -1]].min() == 1.0
        assert max(ink.any(0).sum(), ink.any(1).sum()) > 0.75 * 32


def test_object_is_the_same_every_time_in_shape_dtype_and_range() -> None:
    image = render_object(4, 9, 1, seed=2)
    assert torch.equal(image, render_object(4, 9, 1, seed=2))
    assert (image.shape, image.dtype) == ((3, 1, 64, 64), torch.float32)
    assert -1 <= image.min() < image.max() <= 1


def test_foils_differ_visibly_at_8x8(trials: list[Trial]) -> None:
    for trial in trials:
        assert visible_change(*(render_object(*toy, seed=3) for toy in (trial.seen, trial.foil))) > CLEAR_CHANGE


@pytest.mark.parametrize("category", range(len(CATEGORIES)), ids=list(CATEGORIES))
def test_states_of_every_category_differ_visibly(category: int) -> None:
    assert visible_change(*(render_object(category, 5, state, size=32) for state in range(STATES))) > CLEAR_CHANGE


@pytest.mark.parametrize("swapped", [False, True])
def test_category_of_a_novel_foil_is_never_studied(swapped: bool) -> None:
    trials = plan_trials(16, seed=3)
    pairs = [(t.condition, *((t.foil, t.seen) if swapped else (t.seen, t.foil))) for t in trials]
    studied = {seen.category for _, seen, _ in pairs}
    assert not studied & {foil.category for condition, _, foil in pairs if condition == "novel"}


def test_exemplar_foils_differ_in_the_exemplar_alone(trials: list[Trial]) -> None:
    for trial in trials:
        if trial.condition == "exemplar":
            assert trial.seen == trial.foil._replace(exemplar=trial.seen.exemplar) != trial.foil


def test_state_foils_differ_in_the_state_alone(trials: list[Trial]) -> None:
    for trial in trials:
        if trial.condition == "state":
            assert trial.seen == trial.foil._replace(state=trial.seen.state) != trial.foil


def test_every_condition_has_as_many_trials_as_asked(trials: list[Trial]) -> None:
    assert [trial.condition for trial in trials] == [c for c in CONDITIONS for _ in range(6)]


def test_trials_do_not_depend_on_how_many_there_are(trials: list[Trial]) -> None:
    assert set(plan_trials(2, seed=3)) <= set(trials)


def test_no_toy_appears_twice_even_when_categories_are_reused() -> None:
    trials = plan_trials(20, seed=0)
    toys = [toy for trial in trials for toy in (trial.seen, trial.foil)]
    assert len(set(toys)) == len(toys) == 120


def test_no_two_images_are_equal_save_study_and_seen(tmp_path: Path) -> None:
    write_objects(tmp_path, 4, seed=1, size=32, fillers=5)
    test = [path.read_bytes() for path in tmp_path.glob("test/*/*.png")]
    fillers = [path.read_bytes() for path in tmp_path.glob("study/filler_*.png")]
    assert len(set(test + fillers)) == len(test + fillers) == 24 + 5


def test_layout_pairs_files_by_name_and_studies_every_seen_image(tmp_path: Path) -> None:
    write_objects(tmp_path, 2, seed=0, size=32, fillers=3)
    names = {condition: {f"{condition}_000{item}.png" for item in range(2)} for condition in CONDITIONS}
    for condition, expected in names.items():
        seen, unseen = (tmp_path / "test" / f"{condition}_{side}" for side in ("seen", "unseen"))
        assert {path.name for path in seen.iterdir()} == {path.name for path in unseen.iterdir()} == expected
        assert all((tmp_path / "study" / path.name).read_bytes() == path.read_bytes() for path in seen.iterdir())
    fillers = {f"filler_000{item}.png" for item in range(3)}
    assert {path.name for path in (tmp_path / "study").iterdir()} == fillers.union(*names.values())


def test_written_image_is_the_rendered_toy(tmp_path: Path) -> None:
    write_objects(tmp_path, 1, seed=0, size=32)
    toy = plan_trials(1, seed=0)[0].foil
    written = load_image(tmp_path / "test" / "novel_unseen" / "novel_0000.png")
    assert (image_to_clip(written, 32) - render_object(*toy, size=32)).abs().max() <= 1 / 127.5


def test_videos_appear_under_their_numbers(tmp_path: Path) -> None:
    paths = write_clips(tmp_path, 2, seed=0, size=32, frames=4, fps=8.0)
    assert paths == [tmp_path / "clips" / f"clip_00000{index}.mp4" for index in range(2)]
    assert sorted((tmp_path / "clips").iterdir()) == paths


def test_interrupted_run_continues_and_keeps_what_exists(tmp_path: Path) -> None:
    options = PlayroomOptions(tmp_path, clips=2, objects=1, size=32, frames=4)
    make_playroom(options)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept, lost = tmp_path / "clips/clip_000000.mp4", ["clips/clip_000001.mp4", "study/state_0000.png"]
    kept.write_bytes(b"kept")
    for name in lost:
        (tmp_path / name).unlink()
    make_playroom(options)
    assert kept.read_bytes() == b"kept"
    assert all((tmp_path / name).read_bytes() == files[tmp_path / name] for name in lost)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(files)


def test_folder_grows_and_records_its_options(tmp_path: Path) -> None:
    make_playroom(PlayroomOptions(tmp_path, clips=2, size=32, frames=2, seed=5))
    make_playroom(PlayroomOptions(tmp_path, clips=1, objects=1, size=32, frames=2, seed=5))
    expected = {"clips": 2, "objects": 1, "fillers": 0, "size": 32, "frames": 2, "fps": 8.0, "seed": 5}
    assert json.loads((tmp_path / "playroom.json").read_text()) == expected


def test_folder_of_other_options_is_refused(tmp_path: Path) -> None:
    make_playroom(PlayroomOptions(tmp_path, clips=1, size=32, frames=2))
    with pytest.raises(ValueError, match="made with seed=0, not 1"):
        make_playroom(PlayroomOptions(tmp_path, clips=1, size=32, frames=2, seed=1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": -1}, "--clips -1 must not be negative"),
        ({"clips": 1, "objects": -2}, "--objects -2 must not be negative"),
        ({"objects": 1, "fillers": -3}, "--fillers -3 must not be negative"),
        ({}, "nothing to make"),
        ({"clips": 1, "fillers": 4}, "--fillers 4 belong to a memory experiment"),
        ({"clips": 1, "size": 33}, "--size 33 must be even"),
        ({"clips": 1, "size": 14}, "--size 14 must be at least 16"),
        ({"clips": 1, "frames": 0}, "--frames 0 must be at least 1"),
        ({"clips": 1, "fps": 0.0}, "--fps 0 must be at least 0.001 and at most 1000"),
        ({"clips": 1, "fps": float("nan")}, "--fps nan must be a finite number"),
    ],
)
def test_options_that_cannot_be_met_are_refused_by_name(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlayroomOptions(Path("out"), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"size": 0}, {"frames": 0}, {"fps": 0.0}])
def test_clips_without_extent_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="size and frames must be 1 or more and fps > 0"):
        render_clip(0, 0, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("toy", "message"),
    [
        ((len(CATEGORIES), 0, 0), f"category must lie in 0 ... {len(CATEGORIES) - 1}"),
        ((0, -1, 0), "exemplar must lie in 0"),
        ((0, 0, 2), "state must lie in 0 ... 1, got 2"),
    ],
)
def test_toys_that_do_not_exist_are_refused(toy: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_object(*toy)


def test_images_without_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        render_object(0, 0, 0, size=0)


def test_options_import_without_torch() -> None:
    code = "import sys, data.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_said_what_is_made_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_playroom(PlayroomOptions(tmp_path, clips=1, size=32, frames=2, seed=5))
    said = capsys.readouterr().err.splitlines()
    assert said[0].split() == ["clips", "1", "of", "2", "frames", "at", "8", "a", "second,", "32", "px"]
    assert said[-1].startswith(f"{tmp_path} is ready; next: secondsight vqgan train ")
