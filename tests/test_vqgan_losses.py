"""Losses of the tokenizer, and the adversary's weight beside them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_clips

from vqgan.losses import adaptive_weight, adversarial_share, reconstruction_loss
from vqgan.options import AdversaryOptions


def test_a_perfect_reconstruction_costs_nothing() -> None:
    assert reconstruction_loss(make_clips(), make_clips(), None, 1.0) == 0


def test_the_pixel_error_is_absolute_and_squared() -> None:
    clips = torch.zeros(1, 3, 2, 4, 4)
    assert float(reconstruction_loss(clips + 0.5, clips, None, 1.0)) == pytest.approx(0.5 + 2 * 0.25)


def test_the_adversary_has_no_share_until_it_begins() -> None:
    assert adversarial_share(10, AdversaryOptions(adversarial_start=10)) == 0


def test_the_adversary_has_its_full_share_after_the_ramp() -> None:
    assert adversarial_share(30, AdversaryOptions(adversarial_start=10, adversarial_ramp=20)) == 1


@given(st.integers(0, 10_000), st.integers(0, 5_000), st.integers(1, 5_000))
def test_the_share_never_falls(step: int, start: int, ramp: int) -> None:
    options = AdversaryOptions(adversarial_start=start, adversarial_ramp=ramp)
    assert 0 <= adversarial_share(step, options) <= adversarial_share(step + 1, options) <= 1


def test_the_adaptive_weight_makes_both_gradients_equally_long() -> None:
    last = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    reconstruction, adversarial = last.square().sum(), 100 * last.sin().sum()
    weight = adaptive_weight(reconstruction, adversarial, last)
    wanted, given_ = (torch.autograd.grad(loss, last)[0] for loss in (reconstruction, weight * adversarial))
    assert float(given_.norm()) == pytest.approx(float(wanted.norm()), rel=1e-5)


def test_an_adversary_without_gradient_gets_a_finite_weight() -> None:
    last = torch.ones(2, requires_grad=True)
    assert adaptive_weight(1e9 * last.sum(), 0 * last.sum(), last) == 1e4


@pytest.mark.parametrize(
    ("name", "value"), [("adversarial_weight", -0.1), ("adversarial_start", -1), ("feature_matching", -1)]
)
def test_negative_options_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} {value} must not be negative"):
        AdversaryOptions(**{name: value})


@pytest.mark.parametrize("name", ["adversarial_ramp", "discriminator_width", "discriminator_layers"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} 0 must be at least 1"):
        AdversaryOptions(**{name: 0})
