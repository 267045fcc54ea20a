"""What a GPT has read, so that it reads every token once.

Axes: P prompts, n continuations of each, R = P * n rows, N heads, L tokens, W tokens of a window, S slots of a
continuation, s of them that are looked at, K head dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class KVCache:
    """Keys and values of prompts, stored once for all their continuations, and of each continuation's own tokens.

    The first tokens that a model reads into it are the prompts, (P, L). After that it reads one token of every
    continuation at a time, (R, 1), the continuations of a prompt one after another; or a window of several tokens,
    (R, W), which begins at a slot of its own in every continuation (`open_window`).

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
        """Tokens read so far, the BOS token included; in a window, of the continuation that is furthest."""
        self.window: Tensor | None = None
        """(R, W) int64: the slots of the window that is read next; None if one token of each is."""

    def open_window(self, slots: Tensor, furthest: int) -> None:
        """Let the next tokens (R, W) be read into slots of their own in each continuation.

        What a continuation holds in its slots before these is seen, what it holds behind them is overwritten later.

        Args:
            slots: (R, W) int64, W in succession.
            furthest: the largest first slot of a window.
        """
        self.window = slots
        self.filled = self.prompt_length + furthest

    def rewind(self, slot: int = 0) -> None:
        """Forget what continuations hold from a slot on; by default everything but the prompts."""
        self.window = None
        self.filled = self.prompt_length + slot

    def position_ids(self, count: int, device: torch.device) -> Tensor:
        """Return the position ids int64 of the next `count` tokens in the sequence: (count,), of a window (R, W)."""
        if self.window is not None:
            return self.window + self.prompt_length
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
            query: (P, N, L, K) of prompts, or (R, N, 1, K) of continuations, or (R, N, W, K) of a window of each.
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
        query, key, value = (rearrange(x, "(P n) N W K -> P N n W K", n=self.copies) for x in (query, key, value))
        if self.window is None:
            keys, values = self._append(layer, key, value)
            attended = self._attend_once(layer, query, keys, values)
        else:
            keys, values = self._fill_window(layer, key, value)
            attended = self._attend_in_window(layer, query, keys, values)
        return rearrange(attended, "P N n W K -> (P n) N W K")

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

    def _fill_window(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (P, N, n, W, K) of a window; return the (P, N, n, s, K) that are looked at."""
        assert self.window is not None
        keys, values = self.own[layer]
        slots = rearrange(self.window, "(P n) W -> P 1 n W 1", n=self.copies).expand_as(key)
        end = self._window_end()
        return keys.scatter_(3, slots, key)[:, :, :, :end], values.scatter_(3, slots, value)[:, :, :, :end]

    def _window_end(self) -> int:
        """Return one past the last slot that any continuation looks at."""
        assert self.window is not None
        return self.filled - self.prompt_length + self.window.shape[1]

    def _attend_in_window(self, layer: int, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend as `_attend_once` does, from every token of a window to what lies up to itself.

        Args:
            layer: number of the layer.
            query: (P, N, n, W, K).
            keys: (P, N, n, s, K), a continuation's own.
            values: (P, N, n, s, K), a continuation's own.

        Returns:
            (P, N, n, W, K).
        """
        assert self.window is not None
        prompt_keys, prompt_values = self.prompts[layer]
        query = query * query.shape[-1] ** -0.5
        to_prompt = rearrange(query, "P N n W K -> P N (n W) K") @ prompt_keys.transpose(-1, -2)
        to_prompt = rearrange(to_prompt, "P N (n W) L -> P N n W L", n=self.copies)
        last_seen = rearrange(self.window, "(P n) W -> P 1 n W 1", n=self.copies)
        unseen = torch.arange(keys.shape[3], device=keys.device) > last_seen
        to_own = (query @ keys.transpose(-1, -2)).masked_fill(unseen, -torch.inf)
        scores = torch.cat([to_prompt, to_own], dim=-1)
        wide = torch.promote_types(scores.dtype, torch.float32)
        shares = scores.softmax(dim=-1, dtype=wide).type_as(values)
        from_prompt, from_own = shares.split([to_prompt.shape[-1], to_own.shape[-1]], dim=-1)
        seen = rearrange(from_prompt, "P N n W L -> P N (n W) L") @ prompt_values
        return rearrange(seen, "P N (n W) K -> P N n W K", n=self.copies) + from_own @ values


class StaticKVCache(KVCache):
    """A cache whose steps all run the same operations on the same shapes, as a recorded CUDA graph needs them.

    It always looks at all slots and hides those that hold nothing yet; where it is in the sequence stands in a tensor
    that the graph itself counts up.
    """

    position: Tensor
    """(1,) int64: the slot of the next token."""

    def position_ids(self, count: int, device: torch.device) -> Tensor:
        """See `KVCache.position_ids`."""
        return self.position if self.filled and self.window is None else super().position_ids(count, device)

    def advance(self, count: int) -> None:
        """See `KVCache.advance`."""
        if self.filled:
            self.position += count
        else:
            self.position = torch.tensor([count], device=self.prompts[0][0].device)
        super().advance(count)

    def rewind(self, slot: int = 0) -> None:
        """See `KVCache.rewind`."""
        super().rewind(slot)
        self.position.fill_(self.filled)

    def _window_end(self) -> int:
        """Return the number of all slots."""
        return self.steps

    def _append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.own[layer]
        slot = self.position - self.prompt_length
        return keys.index_copy_(3, slot, key), values.index_copy_(3, slot, value)

    def _hide_unfilled(self, scores: Tensor) -> Tensor:
        slots = torch.arange(self.steps, device=scores.device) + self.prompt_length
        return scores.masked_fill(slots > self.position, -torch.inf)
