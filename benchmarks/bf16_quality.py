"""What bf16 costs: validation NLL of a GPT that learned in it, and tokens that an encoder makes in it, against fp32.

    python benchmarks/bf16_quality.py --tokens runs/demo/tokens --gpt runs/demo/gpt \
        --tokenizer runs/demo/tokenizer --data runs/demo/playroom/clips

Both GPTs begin with the same weights, of the size of that in `--gpt`, and see the same sequences in the same order;
both are scored in fp32 on all held-out items. With `--emulate` a processor without instructions for bf16 measures it
too, as fast as in fp32: what enters products and convolutions is rounded to bf16, and so is what comes out; sums within
a product are in fp32, as they are in hardware, up to their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from accelerate import Accelerator
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from data.clips import read_batches
from data.items import find_items, split_items
from data.tokens import TokenStore
from gpt.evaluate import held_out, item_nll
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from training.order import epoch_order
from training.precision import forget_earlier_trainings, layers_in
from vqgan.model import load_tokenizer

CPU = torch.device("cpu")
WEIGHT_DECAY = 0.05
PRODUCTS = frozenset(
    {
        *(F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
        *(torch.matmul, torch.bmm, torch.addmm, torch.baddbmm, torch.mm, Tensor.matmul, Tensor.__matmul__, Tensor.mm),
        F.scaled_dot_product_attention,
    }
)
"""What autocast lowers, of what the models here call."""


@dataclass
class Options:
    """Compare bf16 with fp32."""

    tokens: Path | None = None
    """Token store that GPTs learn; no GPT learns without one."""
    gpt: Path | None = None
    """A GPT of the size that learns."""
    tokenizer: Path | None = None
    """Tokenizer whose tokens are compared; none are without one."""
    data: Path | None = None
    """Videos or images that it encodes, those held out."""
    steps: int = 550
    """Optimizer steps of each GPT."""
    batch: int = 4
    """Sequences per step."""
    learning_rate: float = 3e-3
    """Peak of the learning rate, which falls to a tenth of it in a cosine."""
    items: int = 256
    """Clips that are encoded, at most."""
    emulate: bool = False
    """Round as bf16 does, and compute in fp32."""
    seed: int = 0
    """Of the weights and the order of the data."""


class Rounded(TorchFunctionMode):
    """Within this context, products that autocast would make in bf16 are made in fp32 and rounded as it would."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        lowered = torch.is_autocast_enabled("cpu") or any(_is(x, torch.bfloat16) for x in args)
        if func not in PRODUCTS or not lowered:
            return func(*args, **kwargs)
        args, kwargs = tree_map(_rounded, (args, kwargs))
        with torch.autocast("cpu", enabled=False):
            return func(*args, **kwargs).bfloat16()


def _is(x: object, dtype: torch.dtype) -> bool:
    return isinstance(x, Tensor) and x.dtype == dtype


def _rounded(x: Any) -> Any:
    return x.bfloat16().float() if isinstance(x, Tensor) and x.is_floating_point() else x


def arithmetic(options: Options) -> AbstractContextManager[Any]:
    """Return the context in which products in bf16 are made as the options say."""
    return Rounded() if options.emulate else nullcontext()


def learn(options: Options, store: TokenStore, precision: str) -> GPT:
    """Return a GPT that learned a store in a precision."""
    forget_earlier_trainings()
    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if precision == "bf16" else "no")
    config = GPT.from_pretrained(options.gpt).config
    torch.manual_seed(options.seed)
    gpt = GPT(config)
    model, optimizer = accelerator.prepare(gpt, build_optimizer(gpt, options.learning_rate, WEIGHT_DECAY))
    model.train()
    for step, chosen in enumerate(sequences(store, options)):
        torch.manual_seed(step)
        with arithmetic(options):
            train_step(accelerator, model, optimizer, store.read(chosen), rate(options, step), 1.0)
    gpt.__dict__.pop("forward", None)  # accelerate's, with autocast in it
    return gpt.eval()


def sequences(store: TokenStore, options: Options) -> Iterator[list[int]]:
    """Yield the items of every step."""
    items = torch.tensor(store.split("train"))
    epochs = -(-options.steps * options.batch // len(items))
    order = torch.cat([items[epoch_order(len(items), options.seed, epoch)] for epoch in range(epochs)])
    for step in range(options.steps):
        yield order[step * options.batch : (step + 1) * options.batch].tolist()


def rate(options: Options, step: int) -> float:
    """Return the learning rate of a step: 50 steps of warm-up, or a tenth of all, then a cosine."""
    warmup = min(50, max(1, options.steps // 10))
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    done = torch.tensor((step - warmup) / max(1, options.steps - warmup))
    return options.learning_rate * float(0.55 + 0.45 * torch.cos(torch.pi * done))


def compare_learning(options: Options) -> None:
    """Print the validation NLL of GPTs that learned in fp32 and in bf16, and of the first one scored in bf16."""
    store = TokenStore(options.tokens)
    held = store.read(held_out(store))
    whole, half = (learn(options, store, precision) for precision in ("fp32", "bf16"))
    exact, learned = (float(item_nll(gpt, held, 8).mean()) for gpt in (whole, half))
    with arithmetic(options), layers_in("bf16", CPU):
        scored = float(item_nll(whole, held, 8).mean())
    print(f"validation NLL after {options.steps} steps, {len(held)} held-out items, nats per token")
    print(f"  learned in fp32, scored in fp32  {exact:.5f}")
    print(f"  learned in bf16, scored in fp32  {learned:.5f}  {100 * (learned / exact - 1):+.3f} % (at most 0.5 %)")
    print(f"  learned in fp32, scored in bf16  {scored:.5f}  {100 * (scored / exact - 1):+.3f} %")


@torch.no_grad()
def compare_tokens(options: Options) -> None:
    """Print the share of tokens that an encoder makes alike in bf16 and in fp32."""
    tokenizer = load_tokenizer(options.tokenizer)
    items = split_items(find_items(options.data, tokenizer.clip_format)[0])[1][: options.items]
    same = total = 0
    for _, clips in read_batches(items, tokenizer.clip_format, 4, []):
        exact = tokenizer.encode(clips)
        with arithmetic(options), layers_in("bf16", CPU):
            lowered = tokenizer.encode(clips)
        same += int((exact == lowered).sum())
        total += exact.numel()
    print(f"tokens alike in bf16 and fp32: {100 * same / total:.2f} % of {total:,} (at least 99.5 %)")


def main(options: Options) -> None:
    """Print what was asked for."""
    print("bf16 emulated" if options.emulate else "bf16 as this processor computes it")
    if options.tokenizer is not None and options.data is not None:
        compare_tokens(options)
    if options.tokens is not None and options.gpt is not None:
        compare_learning(options)


if __name__ == "__main__":
    main(tyro.cli(Options))
