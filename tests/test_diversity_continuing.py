"""The entropy of continuations, against all of them written out and against many that were drawn."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from tiny import GPT_SHORT, make_gpt

from gpt.model import GPT
from sampling.decode import sample
from sampling.sampled import FREE

CODES = 4
GIVEN = 1
GENERATED = 5
SAMPLES = 10_000


@pytest.fixture(scope="module")
def toy() -> GPT:
    """A GPT of few codes and short grids, so that every continuation can be written out."""
    return make_gpt(replace(GPT_SHORT, grid=(1, 2, 3), vocab_size=CODES), scale=3.0)


@torch.no_grad()
def every_continuation(toy: GPT) -> torch.Tensor:
    """The log-probability in nats of each of the 4^5 continuations of the prompt 2."""
    continuations = torch.tensor(list(product(range(CODES), repeat=GENERATED)))
    tokens = torch.cat([torch.full((len(continuations), GIVEN), 2), continuations], dim=1)
    return -toy.nll(tokens)[:, GIVEN:].double().sum(dim=1)


def draw_entropies(toy: GPT) -> tuple[float, float]:
    """The entropy in bits that 10,000 samples give, from the model's distributions and from their probabilities."""
    given = torch.tensor([[2] * GIVEN + [FREE] * GENERATED])
    sampled = sample(toy, given, n=SAMPLES, seed=0)
    exact = sampled.entropy[0, :, GIVEN:].double().sum(dim=1).mean()
    drawn = -sampled.log_probability[0, :, GIVEN:].double().sum(dim=1).mean()
    return float(exact) / math.log(2), float(drawn) / math.log(2)


def test_all_continuations_together_are_certain(toy: GPT) -> None:
    assert float(every_continuation(toy).exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_the_entropy_is_that_of_all_continuations(toy: GPT) -> None:
    log_probabilities = every_continuation(toy)
    truth = float(-(log_probabilities.exp() * log_probabilities).sum()) / math.log(2)
    assert 1 < truth < GENERATED * math.log2(CODES) - 0.5  # neither certain nor flat, or the test would say nothing
    assert draw_entropies(toy)[0] == pytest.approx(truth, rel=0.01)


def test_the_entropy_agrees_with_ten_thousand_samples(toy: GPT) -> None:
    exact, drawn = draw_entropies(toy)
    assert exact == pytest.approx(drawn, rel=0.01)


def test_few_samples_already_give_the_entropy(toy: GPT) -> None:
    """Sums of exact entropies vary less than the surprise of samples does, which is why they are used."""
    given = torch.tensor([[2] * GIVEN + [FREE] * GENERATED])
    sampled = sample(toy, given, n=500, seed=1)
    exact = sampled.entropy[0, :, GIVEN:].sum(dim=1)
    drawn = -sampled.log_probability[0, :, GIVEN:].sum(dim=1)
    assert float(exact.std()) < 0.7 * float(drawn.std())
