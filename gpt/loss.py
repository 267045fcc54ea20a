"""Cross-entropy over large vocabularies without ever holding the logits of a whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.written_gradients import first_order

LOGITS_AT_ONCE = 2**24
"""Logits that are held at a time: 64 MiB of them in fp32, enough rows for large matrix products."""


def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, logits_at_once: int = LOGITS_AT_ONCE) -> Tensor:
    """Return the mean cross-entropy, in nats, of the logits `hidden @ weight.T`, which are made chunk by chunk.

    Gradients are exact, and computed along with the loss, so that no logit is kept or computed twice. There are no
    gradients of gradients.

    Args:
        hidden: (M, D) floating point.
        weight: (V, D), the output layer.
        targets: (M,) int64 in [0, V).
        logits_at_once: rows of a chunk times V, at most (but at least one row).
    """
    rows = max(1, logits_at_once // len(weight))
    return _CrossEntropy.apply(hidden, weight, targets, rows)


def token_nll(
    hidden: Tensor,
    head: Callable[[Tensor], Tensor],
    targets: Tensor,
    vocab_size: int,
    logits_at_once: int = LOGITS_AT_ONCE,
) -> Tensor:
    """Return the cross-entropy of every row of the logits `head(hidden)`, in nats: (M,) float32.

    Where no gradients are computed, it holds no more logits at a time than `cross_entropy` does. Gradients can be
    taken, but hold all logits.

    Args:
        hidden: (M, D) floating point.
        head: the output layer, which makes (rows, V) new logits of (rows, D).
        targets: (M,) int64 in [0, V).
        vocab_size: V.
        logits_at_once: rows of a chunk times V, at most (but at least one row).
    """
    rows = max(1, logits_at_once // vocab_size)
    chunks = zip(hidden.split(rows), targets.split(rows), strict=True)
    return torch.cat([_nll(head(part).float(), wanted) for part, wanted in chunks])


def _nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of (M, V) logits, which are overwritten where they need no gradients: (M,)."""
    if logits.requires_grad:
        return F.cross_entropy(logits, targets, reduction="none")
    said = logits.gather(1, targets[:, None])
    top = logits.amax(dim=1, keepdim=True)
    above = (top - said)[:, 0]
    return logits.sub_(top).exp_().sum(dim=1).log_().add_(above)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, rows: int) -> Tensor:
        """Return the mean loss, a scalar, of (R, D) hidden states, (V, D) weights and (R,) targets int64."""
        product = _product_dtype(hidden)
        matrix = weight.to(product)
        loss = hidden.new_zeros(())
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        chunks = zip(hidden.split(rows), targets.split(rows), hidden_gradient.split(rows), strict=True)
        for part, wanted, part_gradient in chunks:
            part = part.to(product)
            logits = part @ matrix.T
            # Sums over the vocabulary need fp32 also where the products are bf16.
            log_probability = logits.to(hidden.dtype).log_softmax(dim=-1)
            loss -= log_probability.gather(1, wanted[:, None]).sum()
            if any(ctx.needs_input_grad):
                error = log_probability.exp_()
                error.scatter_add_(1, wanted[:, None], error.new_full((len(wanted), 1), -1.0))
                error = error.to(product)
                part_gradient.copy_(error @ matrix)
                weight_gradient += error.T @ part
        ctx.save_for_backward(hidden_gradient.div_(len(hidden)), weight_gradient.div_(len(hidden)))
        return loss / len(hidden)

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Return the gradients of hidden states (R, D) and weights (V, D) for that of the loss, a scalar."""
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return gradient * hidden_gradient, gradient * weight_gradient, None, None


def _product_dtype(hidden: Tensor) -> torch.dtype:
    """Return the type in which matrices are multiplied, which autocast may have lowered."""
    kind = hidden.device.type
    lowered = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if lowered else hidden.dtype
