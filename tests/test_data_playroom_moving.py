"""Films of a playroom in which things move: the same pixels as at rest, and no trace of what is hidden."""

from dataclasses import replace

import pytest
import torch

from data.playroom.moving import Thing, render_films
from data.playroom.rendering import render_walk
from data.playroom.room import Scene, Walk, make_scene, make_walk
from data.playroom.solids import BALL, BOX, PLAIN, Solids

SIZE = 16


def solid(kind: int, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Solids:
    return Solids(
        kind=torch.tensor([kind]),
        centre=torch.tensor([centre]),
        axes=torch.eye(3)[None],
        half=torch.tensor([half]),
        taper=torch.ones(1),
        colours=torch.tensor([[(0.9, 0.1, 0.1), (0.9, 0.1, 0.1)]]),
        pattern=torch.tensor([PLAIN]),
    )


def ball(x: float = 0.0) -> Solids:
    return solid(BALL, (x, 0.0, 0.25), (0.25, 0.25, 0.25))


SCREEN = solid(BOX, (0.0, -0.6, 0.6), (0.8, 0.02, 0.6))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(0, 0)


def standing(frames: int) -> Walk:
    """A camera that stands before the middle of the room."""
    eye = torch.tensor([0.0, -1.8, 0.8]).expand(frames, 3)
    return Walk(eye, eye + torch.tensor([0.0, 1.0, -0.3]), torch.zeros(frames))


@pytest.mark.parametrize("walk", [standing(3), make_walk(0, 0, 3, 8.0)], ids=["standing", "walking"])
def test_without_things_films_are_what_the_walk_sees(scene: Scene, walk: Walk) -> None:
    (film,) = render_films(scene, walk, [[()] * 3], SIZE)
    assert torch.equal(film.clip, render_walk(scene, walk, SIZE))
    assert not film.coverage.any()


def test_a_thing_that_rests_without_a_shadow_is_drawn_as_a_toy_is(scene: Scene) -> None:
    empty, walk = replace(scene, toys=()), standing(1)
    thing = [[Thing(ball(), shadow=False)]]
    above = slice(0, SIZE // 2)  # where the floor with the toy's shadow is not in the picture
    rendered = render_films(empty, walk, [thing], SIZE)[0].clip[..., above, :]
    assert torch.equal(rendered, render_walk(replace(scene, toys=(ball(),)), walk, SIZE)[..., above, :])


def test_what_is_hidden_with_its_shadow_leaves_no_trace(scene: Scene) -> None:
    screen = Thing(SCREEN, shadow=False)
    films = [[[screen]], [[screen, Thing(ball(), tracked=True)]], [[Thing(ball(), tracked=True), screen]]]
    nothing, *hidden = render_films(scene, standing(1), films, SIZE)
    for film in hidden:
        assert torch.equal(film.clip, nothing.clip)
        assert not film.coverage.any()


def test_coverage_is_where_the_thing_is_seen(scene: Scene) -> None:
    films = [[[]], [[Thing(ball(0.3), shadow=False, tracked=True), Thing(ball(-0.3), shadow=False)]]]
    films.append([[films[1][0][1]]])
    _, both, other = render_films(scene, standing(1), films, SIZE)
    changed = (both.clip != other.clip).any(0)
    assert torch.equal(both.coverage > 0, changed)
    assert both.coverage.max() == 1
    assert not other.coverage.any()


def test_things_move_from_frame_to_frame(scene: Scene) -> None:
    path = (-0.5, 0.0, 0.5)
    (film,) = render_films(scene, standing(3), [[[Thing(ball(x), tracked=True)] for x in path]], SIZE)
    columns = (film.coverage.sum(1) * torch.arange(SIZE)).sum(1) / film.coverage.sum((1, 2))
    assert (columns.diff() > 2).all()


def test_shadows_are_weaker_under_what_is_higher(scene: Scene) -> None:
    empty = replace(scene, toys=())
    heights = [ball(), replace(ball(), centre=torch.tensor([[0.0, 0.0, 0.6]]))]
    films = [[[Thing(solids)]] for solids in heights] + [[[Thing(solids, shadow=False)]] for solids in heights]
    low, high, low_bare, high_bare = (film.clip for film in render_films(empty, standing(1), films, 32))
    assert (low_bare - low).max() > 1.5 * (high_bare - high).max() > 0


def test_furniture_hides_what_is_behind_it(scene: Scene) -> None:
    things = [[Thing(ball(), tracked=True)]]
    (film,) = render_films(scene, standing(1), [things], SIZE, furniture=[SCREEN])
    assert not film.coverage.any()


def test_films_have_as_many_frames_as_the_walk(scene: Scene) -> None:
    with pytest.raises(ValueError, match="a film has 2 frames, but the walk 3"):
        render_films(scene, standing(3), [[()] * 2], SIZE)
