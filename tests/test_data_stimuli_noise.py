"""Random token sequences stand beside image lists as a list of their own."""

import pytest
import torch

from data.stimuli.noise import noise_list


def test_studied_and_foils_are_as_many_as_asked() -> None:
    stimuli, tokens = noise_list(items=20, tested=5, length=16, vocab_size=512, seed=0)
    assert (len(stimuli.study), len(stimuli.trials), len(tokens)) == (20, 5, 25)
    assert stimuli.conditions == ("noise",)


def test_every_image_has_tokens_of_the_vocabulary() -> None:
    stimuli, tokens = noise_list(items=200, tested=100, length=64, vocab_size=7, seed=0)
    drawn = torch.stack([tokens[image.path] for image in stimuli.images])
    assert (drawn.shape, drawn.dtype) == ((300, 64), torch.int64)
    counts = drawn.flatten().bincount(minlength=7)
    assert len(counts) == 7
    assert (counts / drawn.numel() - 1 / 7).abs().max() < 0.02


def test_no_foil_is_studied_and_every_tested_sequence_is() -> None:
    stimuli, _ = noise_list(items=20, tested=20, length=16, vocab_size=512, seed=0)
    studied = {image.sha256 for image in stimuli.study}
    assert {trial.studied.sha256 for trial in stimuli.trials} == studied
    assert studied.isdisjoint({trial.foil.sha256 for trial in stimuli.trials})


def test_it_can_be_counterbalanced() -> None:
    stimuli, _ = noise_list(items=20, tested=5, length=16, vocab_size=512, seed=0)
    swapped = stimuli.counterbalanced()
    assert swapped is not None
    assert swapped.trials[0].studied == stimuli.trials[0].foil


def test_the_seed_decides() -> None:
    first, again, other = (noise_list(4, 2, 16, 512, seed) for seed in (1, 1, 2))
    assert first[0] == again[0]
    assert all(torch.equal(first[1][path], again[1][path]) for path in first[1])
    assert not torch.equal(first[1]["study/noise_00000"], other[1]["study/noise_00000"])


@pytest.mark.parametrize("tested", [0, 5])
def test_more_tests_than_studied_are_refused(tested: int) -> None:
    with pytest.raises(ValueError, match=f"of 4 random sequences, {tested} cannot be tested"):
        noise_list(4, tested, 16, 512, 0)


def test_sequences_too_short_to_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="10 random sequences of 2 tokens out of 2 some are equal"):
        noise_list(5, 5, 2, 2, 0)
