"""Discriminators: what they see, what they learn, what they tell the tokenizer."""

import pytest
import torch
from tiny import make_clips

from vqgan.discriminator import Adversary, PatchDiscriminator
from vqgan.options import AdversaryOptions

SMALL = AdversaryOptions(discriminator_width=8, discriminator_layers=2)


def make_adversary(frames: int = 8) -> Adversary:
    torch.manual_seed(0)
    return Adversary(SMALL, frames)


def test_images_get_a_score_per_patch() -> None:
    assert PatchDiscriminator(2, 8, 2)(torch.zeros(3, 3, 16, 24)).scores.shape == (3, 1, 4, 6)


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 16])
def test_clips_of_any_length_get_a_score_per_patch(frames: int) -> None:
    scores = PatchDiscriminator(3, 8, 3)(torch.zeros(2, 3, frames, 16, 16)).scores
    assert scores.shape == (2, 1, -(-frames // 8), 2, 2)


def test_there_are_features_of_every_layer() -> None:
    features = PatchDiscriminator(2, 8, 3)(torch.zeros(1, 3, 16, 16)).features
    assert [tuple(x.shape[1:]) for x in features] == [(8, 8, 8), (16, 4, 4), (32, 2, 2)]


def test_stills_are_judged_as_images_alone() -> None:
    assert len(make_adversary(frames=1).discriminators) == 1


def test_clips_are_judged_as_images_and_as_clips() -> None:
    assert [layer.score.weight.ndim for layer in make_adversary(frames=8).discriminators] == [4, 5]


def test_it_learns_to_tell_blurred_clips_from_sharp_ones() -> None:
    adversary = make_adversary()
    optimizer = torch.optim.Adam(adversary.parameters(), lr=1e-3)
    clips = make_clips(4, 8)
    blurred = clips.mean(dim=(3, 4), keepdim=True).expand_as(clips)
    losses = []
    for _ in range(20):
        loss = adversary(blurred, clips)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_a_perfect_reconstruction_matches_all_features() -> None:
    adversary, clips = make_adversary(), make_clips(2, 8)
    torch.manual_seed(1)
    with_matching = adversary.generator_loss(clips, clips, matching=10.0)
    torch.manual_seed(1)
    assert torch.equal(with_matching, adversary.generator_loss(clips, clips, matching=0.0))


def test_feature_matching_costs_a_poor_reconstruction() -> None:
    adversary, clips = make_adversary(), make_clips(2, 8)
    torch.manual_seed(1)
    with_matching = adversary.generator_loss(-clips, clips, matching=10.0)
    torch.manual_seed(1)
    assert with_matching > adversary.generator_loss(-clips, clips, matching=0.0)


def test_the_moving_averages_follow_the_scores() -> None:
    adversary, clips = make_adversary(), make_clips(2, 8)
    adversary(-clips, clips)
    assert adversary.mean_scores.ne(0).all()


def test_the_moving_averages_survive_a_clip_that_is_no_number() -> None:
    adversary, clips = make_adversary(), make_clips(2, 8)
    adversary(clips * torch.nan, clips)
    assert adversary.mean_scores.eq(0).all()


def test_the_moving_averages_are_saved() -> None:
    assert "mean_scores" in make_adversary().state_dict()
