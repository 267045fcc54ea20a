"""What a GPT has read, so that it reads every token once.

Axes: P prompts, n continuations of each, N heads, L tokens, S slots of a continuation, K head dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class KVCache:
    """Keys and values of prompts, stored once for all their continuations, and of each continuation's own tokens.

    The first tokens that a model reads into it are the prompts, (P, L). After that it reads one token of every
    continuation at a time, (P * n, 1), the continuations of a prompt one after another.

    Args:
        copies: continuations of each prompt, n.
        steps: most tokens that a continuation will add.
    """

    def __init__(self, copies: int, steps: int) -> None:
        self.copies = copies
        self.steps = steps
        self.prompts: list[tuple[Tensor, Tensor]] = []
        """Keys and values of every layer, (P, N, L, K) each."""
        self.own: list[tuple[Tensor, Tensor]] = []
        """Keys and values of every layer, (P, N, n, S, K) each, in buffers of fixed size."""
        self.prompt_length = 0
        self.filled = 0
        """Tokens read so far, the BOS token included."""

    def position_ids(self, count: int, device: torch.device) -> Tensor:
        """Return the position ids (count,) int64 of the next `count` tokens in the sequence."""
        assert not self.filled or count == 1, "after the prompts, a cache takes one token of each continuation"
        return torch.arange(self.filled, self.filled + count, device=device)

    def advance(self, count: int) -> None:
        """Count tokens that all layers have now read."""
        self.prompt_length = self.prompt_length or count
        self.filled += count

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store keys and values of new tokens, and attend from their queries to everything stored.

        Args:
            layer: number of the layer; prompts come in order of the layers.
            query: (P, N, L, K) of prompts, or (P * n, N, 1, K) of continuations.
            key: of the same shape.
            value: of the same shape.

        Returns:
            Attended values of the query's shape.
        """
        if not self.filled:
            P, N, _, K = key.shape
            self.prompts.append((key, value))
            self.own.append(
                (key.new_zeros(P, N, self.copies, self.steps, K), value.new_zeros(P, N, self.copies, self.steps, K))
            )
            return F.scaled_dot_product_attention(query, key, value, is_causal=True)
        query, key, value = (rearrange(x, "(P n) N one K -> P N n one K", n=self.copies) for x in (query, key, value))
        keys, values = self._append(layer, key, value)
        return rearrange(self._attend_once(layer, query, keys, values), "P N n one K -> (P n) N one K")

    def _append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (P, N, n, 1, K) of new tokens; return the (P, N, n, s, K) that are looked at."""
        keys, values = self.own[layer]
        end = self.filled - self.prompt_length + 1
        keys[:, :, :, end - 1 : end] = key
        values[:, :, :, end - 1 : end] = value
        return keys[:, :, :, :end], values[:, :, :, :end]

    def _attend_once(self, layer: int, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend with one softmax over a prompt, read once for its n continuations, and a continuation's own tokens.

        Args:
            layer: number of the layer.
            query: (P, N, n, 1, K).
            keys: (P, N, n, s, K), a continuation's own.
            values: (P, N, n, s, K), a continuation's own.

        Returns:
            (P, N, n, 1, K).
        """
        prompt_keys, prompt_values = self.prompts[layer]
        query = query * query.shape[-1] ** -0.5
        to_prompt = query.squeeze(3) @ prompt_keys.transpose(-1, -2)
        to_own = self._hide_unfilled((query @ keys.transpose(-1, -2)).squeeze(3))
        scores = torch.cat([to_prompt, to_own], dim=-1)
        # In bf16 the softmax keeps the digits of fp32, as the fused kernels of the prefill do.
        wide = torch.promote_types(scores.dtype, torch.float32)
        shares = scores.softmax(dim=-1, dtype=wide).type_as(values)
        from_prompt, from_own = shares.split([to_prompt.shape[-1], to_own.shape[-1]], dim=-1)
        return (from_prompt @ prompt_values).unsqueeze(3) + from_own.unsqueeze(3) @ values

    def _hide_unfilled(self, scores: Tensor) -> Tensor:
        """Return scores (..., s) of a continuation's slots that give no weight to those which hold nothing yet."""
        return scores


class StaticKVCache(KVCache):
    """A cache whose steps all run the same operations on the same shapes, as a recorded CUDA graph needs them.

    It always looks at all slots and hides those that hold nothing yet; where it is in the sequence stands in a tensor
    that the graph itself counts up.
    """

    position: Tensor
    """(1,) int64: the slot of the next token."""

    def position_ids(self, count: int, device: torch.device) -> Tensor:
        """See `KVCache.position_ids`."""
        return self.position if self.filled else super().position_ids(count, device)

    def advance(self, count: int) -> None:
        """See `KVCache.advance`."""
        if self.filled:
            self.position += count
        else:
            self.position = torch.tensor([count], device=self.prompts[0][0].device)
        super().advance(count)

    def rewind(self) -> None:
        """Forget everything but the prompts."""
        self.filled = self.prompt_length
        self.position.fill_(self.prompt_length)

    def _append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.own[layer]
        slot = self.position - self.prompt_length
        return keys.index_copy_(3, slot, key), values.index_copy_(3, slot, value)

    def _hide_unfilled(self, scores: Tensor) -> Tensor:
        slots = torch.arange(self.steps, device=scores.device) + self.prompt_length
        return scores.masked_fill(slots > self.position, -torch.inf)
