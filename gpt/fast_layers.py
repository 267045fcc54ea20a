"""A GPT with linear layers that are faster where nothing is learned: their weights lie in another order, or in bf16."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.model import GPT


def with_fast_layers(gpt: GPT, rows: int, half: bool = False) -> GPT:
    """Return a GPT in evaluation mode with the same parameters, but with faster layers for inputs of that many rows.

    In fp32, weights are packed on the CPU. In bf16 those inside the blocks are bfloat16; embeddings, norms, the
    residual stream, and everything from the head on stay in fp32: logits in bf16 are equal at one position of 25.

    Args:
        gpt: the model, on its device.
        rows: of an input, tokens of all sequences together.
        half: whether the blocks compute in bf16.
    """
    shared = {id(tensor): tensor for tensor in (*gpt.parameters(), *gpt.buffers())}
    fast = copy.deepcopy(gpt, shared).eval()
    # A GPT that is being trained in bf16 has a forward pass of accelerate's before its own, with autocast in it.
    fast.__dict__.pop("forward", None)
    head = fast.head
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, HalfLinear(child, rows) if half and child is not head else _packed(child, rows))
    return fast


class PackedLinear(nn.Module):
    """A linear layer whose fp32 weights lie in the order in which oneDNN reads them, for a number of rows.

    With 1 to 64 rows it is two to five times as fast as torch's own layer. Its weights are a copy.
    """

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), rows)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) of (..., in) float32."""
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


class HalfLinear(nn.Module):
    """A linear layer with weights in bfloat16, which are half as many bytes to read. Its weights are a copy.

    On processors whose products of bf16 matrices oneDNN knows, they lie in the order in which it reads them.
    """

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        weight = linear.weight.detach().bfloat16()
        self.packed = not weight.is_cuda and packs_bf16()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows) if self.packed else weight
        bias: Tensor | None = linear.bias  # torch's annotation forgets `bias=False`
        self.bias = None if bias is None else bias.detach().bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) bfloat16 of (..., in)."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.weight, self.bias, "none", [], "")
        return F.linear(x.bfloat16(), self.weight, self.bias)


def packs_bf16() -> bool:
    """Whether this processor multiplies packed matrices in bf16: it has AVX512, or AVX-NE-CONVERT."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return _knows_packing() and supported is not None and bool(supported())


def _packed(linear: nn.Linear, rows: int) -> nn.Module:
    fits = not linear.weight.is_cuda and linear.weight.dtype == torch.float32
    return PackedLinear(linear, rows) if fits and _knows_packing() else linear


def _knows_packing() -> bool:
    # Packing belongs to torch's compiler and is not public: a build without it keeps its own layers.
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
