"""Courses of events: what a simulation makes of them, and that both of a plot can happen."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data.synthetic.chance import stream
from experiments.physics.stimuli import concepts
from experiments.physics.stimuli.concepts import PLOTS, RADIUS, SHELF_RADIUS, SHELF_TOP, WALL_HALF, Draw
from experiments.physics.stimuli.dynamics import GRAVITY, Start, shelf, simulate, wall
from experiments.physics.stimuli.stage import Course, Plot
from experiments.physics.stimuli.timing import Timing

BALL = Start(x=-1.0, z=0.2, radius=0.2, speed=0.8)
TIMING = Timing(frames=32, fps=16.0, event=15)


def plot(concept: str, number: int, hidden: bool = True, timing: Timing = TIMING) -> Plot:
    return PLOTS[concept](Draw(stream("test", number), 0, timing, hidden))


def there(drawn: Plot) -> list[Course]:
    """The courses on which there is an object."""
    return [course for course in drawn.courses if course is not None]


def crossing(course: Course) -> Tensor:
    """Where the object is at the event, half-way between two frames."""
    return course.path[TIMING.event - 1 : TIMING.event + 1].mean(0)


def test_a_ball_rolls_on_at_its_speed() -> None:
    motion = simulate(BALL, (), 24, 8.0)
    time = torch.arange(24) / 8
    assert (motion.x - (BALL.x + BALL.speed * time)).abs().max() < 2e-3
    assert (motion.turn - BALL.speed / BALL.radius * time).abs().max() < 2e-2
    assert (motion.z - BALL.radius).abs().max() < 2e-3


def test_a_ball_bounces_off_a_wall_and_never_enters_it() -> None:
    motion = simulate(BALL, (wall(0.0, 0.05, 0.6),), 48, 16.0)
    assert motion.x.max() < -0.05 - BALL.radius + 5e-3
    after = motion.x.diff()[-1] * 16
    assert -0.9 < after / BALL.speed < -0.7


def test_a_ball_falls_as_bodies_fall_on_earth_and_stays_on_the_floor() -> None:
    fps = 120
    motion = simulate(BALL._replace(z=0.5 + BALL.radius), (shelf(-3.0, 0.0, 0.5, 0.02),), 3 * fps, fps)
    acceleration = motion.z.diff().diff() * fps**2
    assert ((acceleration + GRAVITY).abs() < 0.05).sum() > 25  # of the 38 frames that half a metre takes
    assert motion.z[: fps // 2].min() > 0.49 + BALL.radius
    assert (motion.z[-fps // 4 :] - BALL.radius).abs().max() < 0.05
    assert motion.z.min() > BALL.radius - 5e-3


def test_a_simulation_gives_the_same_numbers_again() -> None:
    barriers = (wall(0.0, 0.05, 0.6),)
    first, second = (simulate(BALL, barriers, 32, 16.0) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_motion_does_not_depend_on_the_rate_of_the_film() -> None:
    slow, fast = (simulate(BALL, (wall(0.0, 0.05, 0.6),), 3 * fps, fps).x for fps in (8, 24))
    assert (slow - fast[::3]).abs().max() < 0.02


def test_without_pymunk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymunk", None)
    with pytest.raises(ValueError, match=r"physics stimuli need a package: pip install '\.\[physics\]'"):
        simulate(BALL, (), 2, 8.0)


@settings(max_examples=20)
@given(concept=st.sampled_from(list(PLOTS)), number=st.integers(0, 10**6), hidden=st.booleans())
def test_no_course_jumps(concept: str, number: int, hidden: bool) -> None:
    for course in there(plot(concept, number, hidden)):
        steps = course.path.diff(dim=0)
        faster = 1.5 if concept == "support" else 1.05  # the edge of the shelf pushes the ball that tips over it
        assert steps[:, :2].norm(dim=1).max() <= faster * max(concepts.TRAVEL, concepts.APPROACH) / TIMING.frames
        assert steps[:, 2].abs().max() < 3.2 / TIMING.fps  # the speed at which a ball reaches the floor
        assert concept == "support" or steps[:, 2].abs().max() < 2e-3


@pytest.mark.parametrize("number", range(4))
def test_objects_stand_on_the_floor(number: int) -> None:
    for concept in ("permanence", "continuity", "shape", "colour"):
        for course in there(plot(concept, number, hidden=False)):
            low, _ = course.at(3).reach(torch.tensor([0.0, 0.0, 1.0]))
            assert abs(low) < 3e-3


def test_the_walls_of_solidity_are_never_crossed() -> None:
    for number in range(4):
        a, b = there(plot("solidity", number))
        side = a.path[0, 0].sign()
        for course, its_side in ((a, side), (b, -side)):
            assert (its_side * course.path[:, 0]).min() > WALL_HALF + RADIUS - 5e-3
        assert (a.path[:, 0] + b.path[:, 0]).abs().max() < 1e-6


def test_balls_reach_the_wall_at_the_event() -> None:
    a, _ = there(plot("solidity", 0))
    assert abs(int(a.path[:, 0].abs().argmin()) - TIMING.event) <= 1


def test_of_support_one_is_above_the_other_and_falls_later() -> None:
    above, below = there(plot("support", 1))
    apart = crossing(above) - crossing(below)
    assert (apart - torch.tensor([0.0, 0.0, SHELF_TOP])).abs().max() < 5e-3
    assert (above.path[-1, 2] - SHELF_RADIUS).abs() < 0.1
    assert (below.path[:, 2] - SHELF_RADIUS).abs().max() < 3e-3


@pytest.mark.parametrize("number", range(6))
def test_paths_of_inertia_are_straight_and_cross_at_the_event(number: int) -> None:
    directions = []
    for course in there(plot("inertia", number)):
        assert crossing(course)[:2].abs().max() < 5e-3
        steps = torch.nn.functional.normalize(course.path[:, :2].diff(dim=0), dim=1)
        assert (steps - steps[0]).abs().max() < 1e-2
        directions.append(steps[0])
    assert directions[0] @ directions[1] < -0.6


def test_of_permanence_only_one_film_has_an_object() -> None:
    assert [course is None for course in plot("permanence", 0).courses] == [False, True]


def test_of_continuity_only_the_place_differs() -> None:
    for number in range(4):
        a, b = there(plot("continuity", number, hidden=False))
        assert a.solids is b.solids
        assert (a.path - b.path).norm(dim=1).min() > 0.7


def test_of_shape_only_the_shape_differs() -> None:
    for number in range(4):
        a, b = there(plot("shape", number))
        assert torch.equal(a.solids.colours, b.solids.colours)
        assert torch.equal(a.path[:, :2], b.path[:, :2])
        kinds = [(int(course.solids.kind), course.solids.half.tolist()) for course in (a, b)]
        assert kinds[0] != kinds[1]


def test_of_colour_only_the_colour_differs() -> None:
    for number in range(4):
        a, b = there(plot("colour", number))
        assert torch.equal(a.path, b.path)
        assert torch.equal(a.solids.half, b.solids.half)
        assert (a.solids.colours - b.solids.colours).abs().max() > 0.3


def test_balls_turn_the_way_they_roll() -> None:
    course = next(c for n in range(9) for c in there(plot("permanence", n)) if c.turn[-1] != 0)
    moved, turn = course.path[-1, 0] - course.path[0, 0], course.turn[-1] - course.turn[0]
    assert abs(moved - turn * RADIUS) < 0.01
    # What was on top is in front of the middle a little later.
    later = int(torch.searchsorted((course.turn - course.turn[0]).abs(), 0.3))
    top = course.at(later).axes[0] @ course.at(0).axes[0].T @ torch.tensor([0.0, 0.0, 1.0])
    assert top[0] * moved > 0
