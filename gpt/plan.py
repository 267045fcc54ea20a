"""What training a GPT takes, before it is tried.

B sequences at a time on a GPU, L tokens of a sequence, D width, F width inside a feed-forward layer, N heads, V codes.
`benchmarks/plan_memory.py` compares the memory with measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpt.config import GPTConfig
from gpt.flops import flops_per_token, matrix_parameters, parameter_count
from gpt.loss import LOGITS_AT_ONCE
from gpt.options import PlanOptions
from storage.options import unknown_name
from training.gpus import GPUS

FP32 = 4
"""Bytes of a weight, of its gradient and of each of Adam's two moments."""
USABLE = 0.9
"""Share of a GPU's memory that a plan may fill: the driver, kernels and gaps between tensors take the rest."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a training step takes on one GPU at its peak, between the forward and the backward pass.

    Gradients are counted beside activations, as where a batch is computed in parts; in one part they come as
    activations go, and the peak is lower by up to the gradients.
    """

    weights: float
    gradients: float
    moments: float
    """Of Adam."""
    copies: float
    """Weights and gradients on their way: in lower precision, gathered from other GPUs, or in buckets to be reduced."""
    activations: float
    """What the forward pass keeps for the backward pass."""
    work: float
    """What the loss, or the backward pass of one block, needs for itself."""
    validation: float
    """What the forward passes of a validation need, in which nothing is kept for a backward pass."""

    @property
    def total(self) -> float:
        """The sum: of a training step, or of the validation after one, whose gradients are still there."""
        passes = max(self.activations + self.work, self.validation)
        return self.weights + self.gradients + self.moments + self.copies + passes


def block_activations(config: GPTConfig, precision: str) -> int:
    """Return the bytes per token that a block keeps for its backward pass.

    Counted from `gpt.model.Block`, with a the bytes of the precision (as Korthikanti et al. 2022, section 4.1, do for
    another block):

    * the inputs of both norms, which the residual stream keeps in fp32: 8 D; and their statistics, 8 each of layer norm
      and 4 each of RMS norm;
    * the inputs of the projections to queries, keys and values, and into the feed-forward layer: 2 a D;
    * queries, keys and values: 3 a D; no matrix of attention, but 4 N for its log-sums (Dao et al. 2022);
    * the output of attention, which is also the input of its last layer: a D;
    * rotary positions make new queries and keys, and values lie where the old ones are: 2 a D;
    * in SwiGLU the gate, the value and the product: 3 a F; with GELU its input and output: 2 a F, also where it is
      written with a sigmoid.
    """
    a = _size(precision)
    D = config.width
    F = config.feed_forward_width
    if config.variant == "legacy":
        return 8 * D + 16 + 4 * config.heads + a * (6 * D + 2 * F)
    if config.variant == "imagegpt":
        return 8 * D + 8 + 4 * config.heads + a * (6 * D + 2 * F)
    return 8 * D + 8 + 4 * config.heads + a * (8 * D + 3 * F)


def block_work(config: GPTConfig, precision: str) -> int:
    """Return the bytes per token that the backward pass of a block needs at its peak, in its feed-forward layer.

    The gradient of the residual stream, 4 D, and those inside the layer, less what is freed on the way: 3 a F of
    SwiGLU (the joined gate and value, and one more), 2 a F of GELU (its output and its input).
    """
    inside = 3 if config.variant == "rotary" else 2
    return FP32 * config.width + _size(precision) * inside * config.feed_forward_width


def loss_work(config: GPTConfig, tokens: int, precision: str) -> int:
    """Return the bytes that the chunked loss of `tokens` tokens needs besides the features (`gpt.loss`).

    A chunk of logits and its log-probabilities in fp32 (in bf16 the logits in fp32, too); the gradient of the features,
    4 D a token; the gradient of the head in fp32 and a chunk's share of it; in bf16 a copy of the head.
    """
    a = _size(precision)
    lower = precision == "bf16"
    chunk = min(tokens * config.vocab_size, LOGITS_AT_ONCE) * (a + FP32 + FP32 * lower)
    head = config.vocab_size * config.width * (FP32 + a + a * lower)
    return chunk + FP32 * config.width * tokens + head


def activations(config: GPTConfig, tokens: int, precision: str, activation_checkpointing: bool) -> tuple[int, int]:
    """Return the bytes kept for the backward pass of `tokens` tokens, and those needed for work at the peak.

    The last norm keeps its input and gives out the features: 8 D bytes a token. With
    checkpointing (Chen et al. 2016) a block keeps only its input, 4 D, and is computed again, one at a time.
    """
    block = tokens * block_activations(config, precision)
    last = tokens * 2 * FP32 * config.width
    loss = loss_work(config, tokens, precision)
    backward = tokens * block_work(config, precision)
    if activation_checkpointing:
        return config.layers * tokens * FP32 * config.width + last, max(loss, block + backward)
    return config.layers * block + last, max(loss, backward)


def validation_work(config: GPTConfig, tokens: int, precision: str) -> int:
    """Return the bytes that scoring `tokens` tokens needs, as many as a part of a training step has (`gpt.evaluate`).

    At most the residual stream, 4 D a token, and all that a block makes on the way; or the last norm's input and
    output, 8 D, with a chunk of logits in the precision, in fp32 and as log-probabilities, and a copy of the head.
    """
    a = _size(precision)
    lower = precision == "bf16"
    block = tokens * (FP32 * config.width + block_activations(config, precision))
    chunk = min(tokens * config.vocab_size, LOGITS_AT_ONCE) * (2 * FP32 + a * lower)
    loss = tokens * 2 * FP32 * config.width + chunk + a * lower * config.vocab_size * config.width
    return max(block, loss)


def memory_ddp(config: GPTConfig, tokens: int, gpus: int, precision: str, activation_checkpointing: bool) -> Memory:
    """Return what a GPU of `gpus` holds where each holds the whole model, in plain data-parallel training.

    Weights, gradients and two moments in fp32, 16 bytes a parameter (Rajbhandari et al. 2020, section 3.1, without
    their half-precision copies). Several GPUs gather gradients in buckets before they reduce them, 4 bytes more; in
    bf16 autocast keeps a copy of the blocks' matrices for the backward pass, 2 bytes each.
    """
    parameters = parameter_count(config)
    (kept, work) = activations(config, tokens, precision, activation_checkpointing)
    matrices = matrix_parameters(config) - config.vocab_size * config.width
    buckets = FP32 * parameters if gpus > 1 else 0
    lower = 2 * matrices if precision == "bf16" else 0
    share = FP32 * parameters
    validation = validation_work(config, tokens, precision)
    return Memory(share, share, 2 * share, buckets + lower, kept, work, validation)


def memory_fsdp(config: GPTConfig, tokens: int, gpus: int, precision: str, activation_checkpointing: bool) -> Memory:
    """Return what a GPU of `gpus` holds where all share weights, gradients and moments: FSDP2, wrapped block by block.

    Weights, gradients and moments in fp32, 16 bytes a parameter over the number of GPUs (Rajbhandari et al. 2020, stage
    3). On their way are, in the precision: the weights of two blocks at most, one computing and the next being gathered
    (Zhao et al. 2023, section 3.3.2), and the gradients of one before they are reduced, for which there is another copy
    in fp32; and in fp32 the embedding, the head and the norms, which stay gathered through a step, and their gradients.
    """
    parameters = parameter_count(config)
    (kept, work) = activations(config, tokens, precision, activation_checkpointing)
    matrices = matrix_parameters(config) - config.vocab_size * config.width
    block = matrices / config.layers
    outside = parameters - matrices
    copies = (3 * _size(precision) + FP32) * block + 2 * FP32 * outside
    share = FP32 * parameters / gpus
    return Memory(share, share, 2 * share, copies, kept, work, validation_work(config, tokens, precision))


def peak(gpu: str, precision: str) -> float:
    """Return the operations per second that a GPU is capable of.

    Raises:
        ValueError: there is no such GPU, or it does not compute in the precision.
    """
    if gpu not in GPUS:
        raise ValueError(unknown_name("GPU", gpu, GPUS))
    rate = GPUS[gpu].bf16 if precision == "bf16" else GPUS[gpu].fp32
    if rate is None:
        raise ValueError(f"{gpu} does not compute in bf16: plan with --precision fp32 or another --gpu")
    return rate * 1e12


def plan(options: PlanOptions) -> None:
    """Print what a training would take.

    Raises:
        ValueError: there is no such GPU, or the GPU does not compute in the precision.
    """
    config = options.model.for_tokens(options.grid, options.vocab_size)
    most = peak(options.gpu, options.precision)
    rate = options.gpus * most * options.mfu
    each = flops_per_token(config)
    total = flops_per_token(config) * options.tokens
    per_step = options.batch * config.window
    t, h, w = options.grid
    lines = {
        "model": f"{config.describe()}, {t}x{h}x{w} = {config.window} tokens of {config.vocab_size} codes",
        "parameters": f"{parameter_count(config):,}",
        "tokens": f"{options.tokens:,.0f}, {per_step:,} a step: {options.tokens / per_step:,.0f} steps",
        "tokens per parameter": f"{options.tokens / parameter_count(config):.1f}",
        "arithmetic": f"{each / 1e9:.2f} GFLOP a token, {total:.2e} FLOP in all",
        "GPUs": f"{options.gpus} x {options.gpu}, {most / 1e12:g} TFLOP/s each in "
        f"{options.precision} at most, {100 * options.mfu:g} % of it attained",
        "time": f"{total / rate / 3600:,.1f} h: {rate / each:,.0f} tokens/s, {per_step * each / rate:.2f} s a step",
    }
    print("\n".join(f"{name:22s}{text}" for name, text in lines.items()))
    print(f"\n{memory_table(config, options)}")


def memory_table(config: GPTConfig, options: PlanOptions) -> str:
    """Return a table of the memory that a GPU needs under each method of training."""
    sequences = options.batch // (options.gpus * options.grad_accumulation)
    columns = ("weights", "gradients", "moments", "copies", "activations", "work", "validation", "total")
    rows = [f"GiB on a GPU, {sequences} sequences at a time", "".join(f"{name:>12s}" for name in ("", *columns))]
    methods = {"DDP": memory_ddp, "FSDP2": memory_fsdp}
    for activation_checkpointing in (False, True):
        for name, method in methods.items():
            memory = method(
                config, sequences * config.window, options.gpus, options.precision, activation_checkpointing
            )
            numbers = "".join(f"{getattr(memory, column) / 2**30:12.2f}" for column in columns)
            less = ", activation checkpointing" if activation_checkpointing else ""
            rows.append(f"{name:12s}{numbers}  {verdict(memory, options.gpu)}{less}")
    return "\n".join(rows)


def verdict(memory: Memory, gpu: str) -> str:
    """Say whether a GPU can hold it."""
    fits = memory.total <= USABLE * GPUS[gpu].gibibytes * 2**30
    return f"{'fits' if fits else 'does not fit'} {GPUS[gpu].gibibytes:g} GiB"


def _size(precision: str) -> int:
    return 2 if precision == "bf16" else FP32
