"""A cache changes no logits, whatever is read into it in which parts, and neither do shapes that stay the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens

from gpt.cache import KVCache, StaticKVCache
from gpt.config import GPTConfig
from gpt.model import GPT


@pytest.fixture(scope="module")
def model() -> GPT:
    return make_gpt()


@settings(max_examples=15)
@given(
    prompt=st.integers(1, 30),
    prompts=st.integers(1, 3),
    copies=st.integers(1, 4),
    kind=st.sampled_from([KVCache, StaticKVCache]),
)
@pytest.mark.parametrize(
    "config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START, GPT_IMAGEGPT], ids=["rotary", "no-start", "start", "imagegpt"]
)
@torch.no_grad()
def test_continuations_that_share_a_prompt_have_the_logits_of_whole_sequences(
    config: GPTConfig, prompt: int, prompts: int, copies: int, kind: type[KVCache]
) -> None:
    model = make_gpt(config)
    beginnings = make_tokens(prompts, 32)[:, :prompt].repeat_interleave(copies, dim=0)
    endings = make_tokens(prompts * copies, 32, seed=1)[:, prompt:31]
    sequences = model.with_bos(torch.cat([beginnings, endings], dim=1))
    given_slots = sequences.shape[1] - endings.shape[1]
    cache = kind(copies, endings.shape[1])
    parts = [model(sequences[::copies, :given_slots], cache).repeat_interleave(copies, dim=0)]
    parts += [model(sequences[:, place, None], cache) for place in range(given_slots, sequences.shape[1])]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(sequences), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_static_cache_that_was_rewound_begins_its_steps_again(model: GPT) -> None:
    sequence, cache = model.with_bos(make_tokens()), StaticKVCache(1, 4)
    model(sequence[:, :8], cache)
    for place in (20, 21):
        model(sequence[:, place, None], cache)
    cache.rewind()
    torch.testing.assert_close(model(sequence[:, 8, None], cache), model(sequence[:, :9])[:, -1:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_prompts_are_stored_once_for_all_their_continuations(model: GPT) -> None:
    cache = KVCache(64, 5)
    model(model.with_bos(make_tokens(2)[:, :20]), cache)
    assert [keys.shape for keys, _ in cache.prompts] == [(2, 2, 21, 8)] * len(model.blocks)
    assert [keys.shape for keys, _ in cache.own] == [(2, 2, 64, 5, 8)] * len(model.blocks)


@torch.no_grad()
def test_a_cache_does_not_grow_past_the_window(model: GPT) -> None:
    cache = KVCache(1, 2)
    model(model.with_bos(make_tokens(1)), cache)
    with pytest.raises(ValueError, match="a sequence of 34 tokens does not fit the 33 positions of the GPT"):
        model(make_tokens(1, 1), cache)
