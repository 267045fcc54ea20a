"""What is drawn has the distribution that the model's logits and the options say.

Every test draws through the sampler itself, with its cache, from a small real GPT of five codes, and compares how often
each pair of consecutive tokens was drawn with its exact probability (chi-square, level and draws as in `goodness`).
Filters are computed here anew, by their definitions. The last tests make sure that a wrong sampler would be found.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from goodness import DRAWS, LEVEL, count_pairs, p_value
from numpy.typing import NDArray
from tiny import make_gpt

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.decode import generate, sample
from sampling.options import SamplingOptions
from sampling.sampled import FREE

CODES = 5
ROTARY = GPTConfig(layers=2, heads=2, width=16, grid=(2, 1, 2), vocab_size=CODES)
"""A window of two latent frames of two tokens."""
LEGACY = replace(ROTARY, variant="legacy", bos=False)
LEGACY_BOS = replace(ROTARY, variant="legacy")
IMAGEGPT = replace(ROTARY, variant="imagegpt")
PROMPT = (3, 1)

SETTINGS = {
    "plain": SamplingOptions(),
    "cold": SamplingOptions(temperature=0.7),
    "hot": SamplingOptions(temperature=1.5),
    "top-k": SamplingOptions(top_k=3),
    "top-p": SamplingOptions(top_p=0.8),
    "min-p": SamplingOptions(min_p=0.2),
    "all": SamplingOptions(temperature=0.8, top_k=4, top_p=0.9, min_p=0.05),
}
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def model(config: GPTConfig = ROTARY) -> GPT:
    """A GPT whose next token depends on what comes before, with no probability near 0 or 1."""
    gpt = make_gpt(config, scale=20.0)
    with torch.no_grad():
        gpt.head.weight.mul_(0.1)
    return gpt


@torch.no_grad()
def exact(gpt: GPT, context: tuple[int, ...], options: SamplingOptions = SETTINGS["plain"]) -> Floats:
    """The distribution (V,) of the token after a context, by the definitions of the options."""
    tokens = torch.tensor([context], dtype=torch.int64).reshape(1, len(context))
    logits = gpt(gpt.with_bos(tokens))[0, -1].double().numpy() / options.temperature
    shares = np.exp(logits - logits.max())
    if options.top_k:
        shares[np.argsort(-shares)[options.top_k :]] = 0
    shares /= shares.sum()
    if options.top_p < 1:
        ranked = np.argsort(-shares)
        reached = int(np.searchsorted(np.cumsum(shares[ranked]), options.top_p))
        shares[ranked[reached + 1 :]] = 0
        shares /= shares.sum()
    shares[shares < options.min_p * shares.max()] = 0
    return shares / shares.sum()


def joint(
    gpt: GPT,
    context: tuple[int, ...],
    options: SamplingOptions = SETTINGS["plain"],
    seen: Callable[[int], tuple[int, ...]] | None = None,
) -> Floats:
    """The distribution (V, V) of the next two tokens; `seen` says what the model sees after the first of them."""
    first = exact(gpt, context, options)
    return np.stack([first[a] * exact(gpt, seen(a) if seen else (*context, a), options) for a in range(CODES)])


def drawn(
    gpt: GPT,
    prompt: tuple[int, ...] = PROMPT,
    options: SamplingOptions = SETTINGS["plain"],
    seed: int = 0,
    n: int = DRAWS,
    batch: int = 1,
) -> Ints:
    """The two tokens after a prompt: (batch * n, 2), `n` continuations of each of so many equal prompts."""
    prompts = torch.tensor([prompt], dtype=torch.int64).reshape(1, len(prompt)).expand(batch, -1)
    tokens = generate(
        gpt,
        prompts,
        len(prompt) + 2,
        n,
        options.temperature,
        options.top_k,
        options.top_p,
        seed,
        options.min_p,
    )
    return tokens[:, :, -2:].flatten(0, 1).numpy()


def is_drawn_from(pairs: Ints, probabilities: Floats) -> bool:
    return p_value(count_pairs(pairs, CODES), probabilities) >= LEVEL


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("setting", SETTINGS)
def test_pairs_have_their_exact_distribution(setting: str, seed: int) -> None:
    gpt, options = model(), SETTINGS[setting]
    assert is_drawn_from(drawn(gpt, options=options, seed=seed), joint(gpt, PROMPT, options))


@pytest.mark.parametrize("config", [LEGACY, LEGACY_BOS], ids=["no-bos", "bos"])
@pytest.mark.parametrize("setting", ["plain", "all"])
def test_pairs_of_imported_kinds_of_models_have_their_exact_distribution(config: GPTConfig, setting: str) -> None:
    gpt, options = model(config), SETTINGS[setting]
    assert is_drawn_from(drawn(gpt, options=options), joint(gpt, PROMPT, options))


@pytest.mark.parametrize("config", [ROTARY, LEGACY_BOS, IMAGEGPT], ids=["rotary", "legacy", "imagegpt"])
def test_pairs_from_nothing_have_their_exact_distribution(config: GPTConfig) -> None:
    gpt = model(config)
    assert is_drawn_from(drawn(gpt, ()), joint(gpt, ()))


def test_without_a_bos_token_the_first_is_uniform_whatever_the_options_are() -> None:
    gpt, options = model(LEGACY), SETTINGS["all"]
    expected = np.stack([exact(gpt, (a,), options) / CODES for a in range(CODES)])
    assert is_drawn_from(drawn(gpt, (), options), expected)


def test_prompts_that_are_read_one_by_one_have_the_same_distribution() -> None:
    gpt = model()
    assert is_drawn_from(drawn(gpt, n=1, batch=DRAWS), joint(gpt, PROMPT))


def test_each_of_several_prompts_has_its_own_distribution() -> None:
    gpt, prompts = model(), ((3, 1), (0, 4))
    tokens = generate(gpt, torch.tensor(prompts), 4, DRAWS)
    for row, prompt in enumerate(prompts):
        assert is_drawn_from(tokens[row, :, -2:].numpy(), joint(gpt, prompt))
    assert not is_drawn_from(tokens[0, :, -2:].numpy(), joint(gpt, prompts[1]))


@pytest.mark.parametrize("context", [(), PROMPT], ids=["from nothing", "from a prompt"])
def test_greedy_takes_the_likeliest_of_each(context: tuple[int, ...]) -> None:
    gpt = model()
    first = int(exact(gpt, context).argmax())
    pair = (first, int(exact(gpt, (*context, first)).argmax()))
    assert {tuple(row) for row in drawn(gpt, context, SamplingOptions(temperature=0), n=50).tolist()} == {pair}


@pytest.mark.parametrize("setting", ["plain", "all"])
def test_a_window_that_has_slid_sees_what_it_keeps_and_nothing_before(setting: str) -> None:
    """Four tokens fill the window; of the next latent frame the model sees the last two of them."""
    gpt, options = model(), SETTINGS[setting]
    pairs = drawn(gpt, (2, 0, *PROMPT), options)
    assert is_drawn_from(pairs, joint(gpt, PROMPT, options))


def test_pairs_across_windows_have_their_exact_distribution() -> None:
    """The last token of one window, and the first of the next, for which the window has slid by a latent frame."""
    gpt = model()
    tokens = generate(gpt, torch.tensor([(2, 0, 3)]), 6, DRAWS)[0, :, 3:5].numpy()
    assert is_drawn_from(tokens, joint(gpt, (2, 0, 3), seen=lambda a: (3, a)))
    assert not is_drawn_from(tokens, joint(gpt, (2, 0, 3)[:2], seen=lambda a: (3, a)))


def test_a_wider_overlap_is_seen() -> None:
    gpt = model(replace(ROTARY, grid=(3, 1, 2)))
    given = torch.tensor([(4, 4, 2, 0, 3, 1, FREE, FREE)])
    pairs = sample(gpt, given, DRAWS, overlap=2).tokens[0, :, -2:].numpy()
    assert is_drawn_from(pairs, joint(gpt, (2, 0, 3, 1)))
    assert not is_drawn_from(pairs, joint(gpt, (3, 1)))


def test_what_is_given_behind_free_tokens_is_known_once_it_is_reached() -> None:
    gpt = model()
    pairs = sample(gpt, torch.tensor([(3, FREE, 4, FREE)]), DRAWS).tokens[0, :, [1, 3]].numpy()
    assert is_drawn_from(pairs, joint(gpt, (3,), seen=lambda a: (3, a, 4)))


def test_scores_are_those_of_the_model_before_the_options() -> None:
    gpt = model()
    given = torch.tensor([(*PROMPT, FREE, FREE)])
    sampled = sample(gpt, given, 50, SETTINGS["all"])
    for tokens, scores, entropy in zip(
        sampled.tokens[0].tolist(), sampled.log_probability[0], sampled.entropy[0], strict=True
    ):
        for position in (2, 3):
            shares = exact(gpt, tuple(tokens[:position]))
            assert float(scores[position]) == pytest.approx(float(np.log(shares[tokens[position]])), rel=1e-4)
            assert float(entropy[position]) == pytest.approx(float(-(shares * np.log(shares)).sum()), rel=1e-4)


def of_continuations(gpt: GPT) -> Ints:
    """The first tokens of continuations 2i and 2i + 1 of one prompt."""
    return drawn(gpt, n=2 * DRAWS)[:, 0].reshape(-1, 2)


def of_items(gpt: GPT) -> Ints:
    """The first tokens of equal prompts 2i and 2i + 1."""
    return drawn(gpt, n=1, batch=2 * DRAWS)[:, 0].reshape(-1, 2)


def of_seeds(gpt: GPT) -> Ints:
    """The first tokens of the same continuations under seeds 0 and 1."""
    return np.stack([drawn(gpt, seed=seed)[:, 0] for seed in (0, 1)], axis=1)


@pytest.mark.parametrize("pairs", [of_continuations, of_items, of_seeds])
def test_continuations_items_and_seeds_are_independent(pairs: Callable[[GPT], Ints]) -> None:
    gpt = model()
    first = exact(gpt, PROMPT)
    assert is_drawn_from(pairs(gpt), np.outer(first, first))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "other",
    [
        SamplingOptions(temperature=1.2),
        SamplingOptions(temperature=1 / 1.2),
        SamplingOptions(top_k=4),
        SamplingOptions(top_p=0.9),
        SamplingOptions(min_p=0.2),
    ],
    ids=str,
)
def test_so_many_draws_tell_other_options_from_plain_ones(other: SamplingOptions, seed: int) -> None:
    gpt = model()
    assert not is_drawn_from(drawn(gpt, options=other, seed=seed), joint(gpt, PROMPT))


@pytest.mark.parametrize("config", [ROTARY, LEGACY, LEGACY_BOS], ids=["rotary", "no-bos", "bos"])
def test_so_many_draws_tell_a_second_token_that_knows_the_first_from_one_that_does_not(config: GPTConfig) -> None:
    gpt = model(config)
    expected = joint(gpt, PROMPT)
    forgetful = np.outer(expected.sum(axis=1), expected.sum(axis=0))
    assert not is_drawn_from(drawn(gpt), forgetful)


def test_so_many_draws_find_one_chance_for_two_tokens() -> None:
    """Both tokens of the uniform number that the sampler takes for the first."""
    gpt = model()
    uniform = np.random.default_rng(0).random(DRAWS)
    first = np.searchsorted(exact(gpt, PROMPT).cumsum(), uniform)
    conditional = np.stack([exact(gpt, (*PROMPT, a)).cumsum() for a in range(CODES)])
    second = np.array([np.searchsorted(conditional[a], u) for a, u in zip(first, uniform, strict=True)])
    assert not is_drawn_from(np.stack([first, second], axis=1), joint(gpt, PROMPT))


def test_p_values_of_a_right_sampler_are_uniform() -> None:
    """400 times as many draws by numpy: as many p-values lie below .05, .25 and .5 as should (within 4 s.e.)."""
    expected = joint(model(), PROMPT)
    generator = np.random.default_rng(0)
    values = np.array(
        [p_value(generator.multinomial(DRAWS, expected.ravel()).reshape(CODES, CODES), expected) for _ in range(400)]
    )
    for level in (0.05, 0.25, 0.5):
        assert (values < level).mean() == pytest.approx(level, abs=4 * (level * (1 - level) / 400) ** 0.5)


def test_what_has_no_probability_must_not_be_drawn() -> None:
    assert p_value(np.array([[99, 1], [0, 0]]), np.array([[1.0, 0.0], [0.0, 0.0]])) == 0


@pytest.mark.parametrize("config", [ROTARY, LEGACY, LEGACY_BOS], ids=["rotary", "no-bos", "bos"])
def test_the_models_of_these_tests_are_neither_flat_nor_certain(config: GPTConfig) -> None:
    shares = joint(model(config), PROMPT)
    assert 0.001 < shares.min() < 0.02
    assert 0.08 < shares.max() < 0.4
