"""Quadruples of films: events that can be seen, or cannot because they are hidden, and nothing else that differs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.physics.options import StimuliOptions
from experiments.physics.stimuli import quadruples
from experiments.physics.stimuli.concepts import PLOTS
from experiments.physics.stimuli.quadruples import LEAST_SHARE, Quadruple, make_quadruple

SIZE, FRAMES = 24, 12


def quadruple(concept: str, number: int = 0, **options: Any) -> Quadruple:
    options = {"size": SIZE, "frames": FRAMES, "fps": 6.0, "distractors": 1, "camera": "fixed", **options}
    return make_quadruple(StimuliOptions(Path("out"), **options), concept, number)


@pytest.mark.parametrize("concept", PLOTS)
def test_a_hidden_event_cannot_be_seen_but_its_consequences_can(concept: str) -> None:
    drawn = quadruple(concept, events="hidden", camera="walking")
    a, b = drawn.clips
    assert drawn.occlusion is not None
    first, last = drawn.occlusion
    assert first <= drawn.timing.event - 1
    assert drawn.timing.event < last
    assert torch.equal(a[:, first:last], b[:, first:last])
    assert not drawn.shares()[:, first:last].any()
    changes = drawn.changes()
    assert min(changes[:first].max(), changes[last:].max()) > 0.1


@pytest.mark.parametrize("concept", PLOTS)
def test_a_visible_event_happens_to_an_object_in_view(concept: str) -> None:
    drawn = quadruple(concept, events="visible")
    event = drawn.timing.event
    shares = drawn.shares()[: 1 if concept == "permanence" else 2, event - 1 : event + 1]
    assert shares.min() > LEAST_SHARE
    assert drawn.occlusion is None
    assert drawn.changes()[event:].max() > 0.1


def test_impossible_films_are_made_of_the_frames_of_possible_ones() -> None:
    drawn = quadruple("inertia")
    films = {name: drawn.film(*name) for name in ("AA", "AB", "BA", "BB")}
    event = drawn.timing.event
    for film in (0, 1):  # clips and coverages
        time = 1 if film == 0 else 0
        parts = {name: pair[film].tensor_split([event], dim=time) for name, pair in films.items()}
        for beginning, ending in ("AB", "BA"):
            mixed = parts[beginning + ending]
            assert torch.equal(mixed[0], parts[2 * beginning][0])
            assert torch.equal(mixed[1], parts[2 * ending][1])


def test_the_walk_is_the_same_in_all_films() -> None:
    walking = quadruple("inertia", events="visible", camera="walking", distractors=0)
    a, b = walking.clips
    above = slice(0, 5)
    assert torch.equal(a[..., above, :], b[..., above, :])
    assert not torch.equal(a[:, 0, above], a[:, -1, above])
    still = quadruple("inertia", events="visible", distractors=0).clips[0]
    assert torch.equal(still[:, 0, above], still[:, -1, above])


def test_scenes_take_turns() -> None:
    options = StimuliOptions(Path("out"), size=16, frames=8)
    drawn = [make_quadruple(options, "inertia", number) for number in range(4)]
    assert [one.hidden for one in drawn] == [False, True, False, True]
    assert [one.walking for one in drawn] == [False, False, True, True]


def test_a_scene_is_drawn_the_same_again_and_other_numbers_and_seeds_are_others() -> None:
    clips = [quadruple("solidity", number, seed=seed).clips[0] for number, seed in ((0, 0), (0, 0), (2, 0), (0, 1))]
    assert torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0], clips[2])
    assert not torch.equal(clips[0], clips[3])


@pytest.mark.parametrize(("size", "frames", "fps"), [(16, 8, 1.0), (20, 40, 25.0)])
def test_films_have_any_size_length_and_rate(size: int, frames: int, fps: float) -> None:
    for concept in ("support", "solidity"):
        drawn = quadruple(concept, events="hidden", size=size, frames=frames, fps=fps)
        assert drawn.clips[0].shape == (3, frames, size, size)


def test_distractors_are_behind_the_event() -> None:
    bare, crowded = (quadruple("inertia", distractors=count).clips[0] for count in (0, 4))
    assert not torch.equal(bare, crowded)
    assert torch.equal(bare[..., -4:, :], crowded[..., -4:, :])


def test_a_control_is_cut_dimmed_or_compressed_and_shows_the_same() -> None:
    cut, light, compression = (quadruple("control", number, events="visible") for number in range(3))
    assert not torch.equal(*cut.coverages)
    for drawn in (light, compression):
        assert torch.equal(*drawn.coverages)
    bright, dark = (clip.float() for clip in light.clips)
    assert (dark - 0.6 * bright).abs().max() < 1
    rough = (compression.clips[0].float() - compression.clips[1]).abs().mean()
    assert 1 < rough < 30


def test_in_hidden_controls_the_object_is_hidden_at_the_event() -> None:
    drawn = quadruple("control", 1, events="hidden")
    assert drawn.occlusion is not None
    assert not drawn.shares()[:, drawn.timing.event - 1 : drawn.timing.event + 1].any()


def test_scenes_whose_event_is_never_clear_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadruples, "CLEAR_CHANGE", 2.0)
    monkeypatch.setattr(quadruples, "ATTEMPTS", 2)
    with pytest.raises(ValueError, match="none of 2 draws of scene 5 shows colour well at 16 pixels and 8 frames: "):
        quadruple("colour", 5, size=16, frames=8)
