"""Parts of a block whose gradients are written out: they touch less memory than those that autograd derives.

Between its matrix products a training step on a CPU waits for memory. Autograd goes over it once or more for every
operation of a formula and keeps what lies between them; these go over it as seldom as torch's operations allow, and
keep only their inputs. None has gradients of gradients. `torch.compile` joins operations by itself and gets the plain
formulas. Where nothing is learned, the norm is torch's own, which is faster there, and nothing passes through autograd:
a step of sampling is made of small things.

Axes: B batch, L tokens, D width, F width inside a feed-forward layer, N heads, K head dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine, (L, K / 2) each, or (B, L, K / 2) where every sequence has positions of its own."""


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a backward pass that refuses to be differentiated itself.

    torch's own `once_differentiable` (2.14.1) lets that pass in a sum with other terms, and leaves its part out.

    Args:
        backward: of a `torch.autograd.Function`, a static method.
    """

    @wraps(backward)
    def checked(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():  # it is in a backward pass with create_graph=True alone
            raise RuntimeError("this gradient has no gradient of its own: take it without create_graph=True")
        return backward(ctx, *gradients)

    return checked


class RMSNorm(nn.RMSNorm):
    """Root mean square normalisation (Zhang and Sennrich 2019), which torch has as one operation for GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., D) of (..., D)."""
        # torch does not tell its type checkers that there may be no weight.
        weight: Tensor | None = self.weight
        if weight is None or weight.ndim != 1 or self.eps is None or x.device.type != "cpu":
            return super().forward(x)
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return super().forward(x)
        if x.dtype != weight.dtype or x.dtype not in (torch.float32, torch.float64):
            return super().forward(x)
        normed: Tensor = _RMSNorm.apply(x, weight, self.eps)
        return normed


def gated(gate_and_value: Tensor) -> Tensor:
    """Return silu(gate) * value, (..., F), of both in one tensor, (..., 2 F) (Shazeer 2020)."""
    if torch.compiler.is_compiling():
        gate, value = gate_and_value.chunk(2, dim=-1)
        return F.silu(gate) * value
    if not torch.is_grad_enabled():
        return _gated(gate_and_value)
    product: Tensor = _Gated.apply(gate_and_value)
    return product


def split_and_rotate(qkv: Tensor, heads: int, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries and keys, rotated, and values, (B, N, L, K) each, of all in one tensor (B, L, 3 * N * K)."""
    if torch.compiler.is_compiling():
        q, k, v = split(qkv, heads)
        return rotate(q, *rotation), rotate(k, *rotation), v
    if not torch.is_grad_enabled():
        return _split_and_turn(qkv, heads, *rotation)
    q, k, v = _SplitAndRotate.apply(qkv, heads, *rotation)
    return q, k, v


def split(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, (B, N, L, K) each, of all in one tensor (B, L, 3 * N * K)."""
    q, k, v = rearrange(qkv, "B L (three N K) -> three B N L K", three=3, N=heads)
    return q, k, v


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate pairs of head dimensions of `x` (B, N, L, K) by the angles whose (L, K / 2) cosine and sine are given."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1).to(x.dtype)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """Return (..., D) of (..., D), on the CPU; the weight is (D,)."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Return the gradients of the input (..., D) and the weight (D,) for that of the output (..., D).

        They are those of a layer norm whose mean is 0, were it not for what its own mean adds, which is taken away.
        """
        x, weight, scale = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        gradient = gradient.contiguous()
        to_x, to_weight, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, x, weight.shape, torch.zeros_like(scale), scale, weight, None, wanted
        )
        if wanted[0]:
            with torch.autocast("cpu", enabled=False):
                mean = torch.mv(gradient.view(-1, len(weight)), weight).div_(len(weight))
            to_x += mean.view(scale.shape).mul_(scale)
        return to_x, to_weight, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_and_value: Tensor) -> Tensor:
        """Return (..., F) of (..., 2 F)."""
        ctx.save_for_backward(gate_and_value)
        return _gated(gate_and_value)

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the input (..., 2 F) for that of the output (..., F)."""
        (gate_and_value,) = ctx.saved_tensors
        gate, value = gate_and_value.chunk(2, dim=-1)
        result = torch.empty_like(gate_and_value)
        to_gate, to_value = result.chunk(2, dim=-1)
        work = F.silu(gate)
        torch.mul(work, gradient, out=to_value)
        torch.mul(value, gradient, out=work)
        torch.ops.aten.silu_backward.grad_input(work, gate, grad_input=to_gate)
        return result


def _gated(gate_and_value: Tensor) -> Tensor:
    """Return (..., F) of (..., 2 F)."""
    gate, value = gate_and_value.chunk(2, dim=-1)
    return F.silu(gate).mul_(value)


class _SplitAndRotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, (B, N, L, K) each, of (B, L, 3 * N * K)."""
        ctx.save_for_backward(cosine, sine)
        return _split_and_turn(qkv, heads, cosine, sine)

    @staticmethod
    @first_order
    def backward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of the input (B, L, 3 * N * K) for those of the outputs, (B, N, L, K) each."""
        cosine, sine = ctx.saved_tensors
        B, N, L, K = q.shape
        result = q.new_empty(B, L, 3, N, K)
        to_q, to_k, to_v = result.unbind(2)
        for turned, whence in ((to_q, q), (to_k, k)):
            _turned(whence.transpose(1, 2), cosine, -sine, turned)
        to_v.copy_(v.transpose(1, 2))
        return result.flatten(2), None, None, None


def _split_and_turn(qkv: Tensor, heads: int, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, (B, N, L, K) each, of (B, L, 3 * N * K), whose order they keep in memory."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).unbind(2)
    q, k = (_turned(x, cosine, sine).to(x.dtype) for x in (q, k))
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor, out: Tensor | None = None) -> Tensor:
    """Rotate (B, L, N, K) by angles (L, K / 2) or (B, L, K / 2)."""
    cosine, sine = cosine.unsqueeze(-2), sine.unsqueeze(-2)
    direct = out is not None and out.dtype == cosine.dtype
    turned = torch.mul(x, torch.cat([cosine, cosine], dim=-1), out=out if direct else None)
    first, second = x.chunk(2, dim=-1)
    turned_first, turned_second = turned.chunk(2, dim=-1)
    turned_first.addcmul_(second, sine, value=-1)
    turned_second.addcmul_(first, sine)
    return turned if out is None or direct else out.copy_(turned)
