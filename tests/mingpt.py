"""Tiny checkpoints of minGPT and what such models compute, written out without any part of Secondsight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def make_mingpt(vocabulary: int = 32, positions: int = 31, layers: int = 2, width: int = 16) -> dict[str, Tensor]:
    """The state dict of a minGPT with random weights, masks included, as it is saved."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int, scale: float = 0.5) -> Tensor:
        return scale * torch.randn(*shape, generator=generator)

    state = {"pos_emb": noise(1, positions, width), "tok_emb.weight": noise(vocabulary, width)}
    for block in range(layers):
        for norm in ("ln1", "ln2"):
            state[f"blocks.{block}.{norm}.weight"] = 1 + noise(width)
            state[f"blocks.{block}.{norm}.bias"] = noise(width)
        state[f"blocks.{block}.attn.mask"] = torch.ones(positions, positions).tril()[None, None]
        shapes = {f"attn.{part}": (width, width) for part in ("key", "query", "value", "proj")}
        for name, shape in {**shapes, "mlp.0": (4 * width, width), "mlp.2": (width, 4 * width)}.items():
            state[f"blocks.{block}.{name}.weight"] = noise(*shape)
            state[f"blocks.{block}.{name}.bias"] = noise(shape[0])
    state |= {"ln_f.weight": 1 + noise(width), "ln_f.bias": noise(width), "head.weight": noise(vocabulary, width)}
    return state


def make_tats(codes: int = 32, conditions: int = 0, window: int = 32) -> dict[str, Tensor]:
    """The state dict of a transformer of TATS with the codebook that lies beside it."""
    gpt = make_mingpt(conditions + codes, window)
    return {
        **{f"transformer.{name}": weight for name, weight in gpt.items()},
        "first_stage_model.codebook.embeddings": torch.zeros(codes, 4),
        "first_stage_model.encoder.conv_first.conv.weight": torch.zeros(4, 3, 3, 3, 3),
    }


def mingpt_logits(state: dict[str, Tensor], tokens: Tensor, heads: int) -> Tensor:
    """The logits (B, L, V) of a minGPT that reads tokens (B, L)."""
    L = tokens.shape[1]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        deviation = (x.var(dim=-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return (x - x.mean(dim=-1, keepdim=True)) / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = state["tok_emb.weight"][tokens] + state["pos_emb"][:, :L]
    for block in range(sum(name.endswith("ln1.weight") for name in state)):
        y = norm(x, f"blocks.{block}.ln1")
        q, k, v = (
            linear(y, f"blocks.{block}.attn.{part}").unflatten(2, (heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5
        scores = scores.masked_fill(torch.ones(L, L).tril() == 0, -torch.inf)
        x = x + linear((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2), f"blocks.{block}.attn.proj")
        hidden = linear(norm(x, f"blocks.{block}.ln2"), f"blocks.{block}.mlp.0")
        x = x + linear(F.gelu(hidden), f"blocks.{block}.mlp.2")
    return norm(x, "ln_f") @ state["head.weight"].T
