"""What a plan says is what a model has: parameters and activations exactly, memory and time by the formulas."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from gpt.config import PRESETS, GPTConfig, VariantName
from gpt.flops import flops_per_token
from gpt.model import GPT
from gpt.options import PlanOptions
from gpt.plan import (
    GPUS,
    Memory,
    activations,
    block_activations,
    memory_ddp,
    memory_fsdp,
    parameter_count,
    plan,
    verdict,
)
from storage.field_docs import field_docs

SMALL = GPTConfig(layers=2, heads=2, width=64, grid=(1, 4, 4), vocab_size=48)


@pytest.mark.parametrize("variant", ["rotary", "legacy", "legacy without BOS token", "imagegpt"])
@pytest.mark.parametrize("name", PRESETS)
def test_the_number_of_parameters_is_exact(name: str, variant: str) -> None:
    config = replace(PRESETS[name], variant=variant.split()[0], bos="without" not in variant)
    with torch.device("meta"):
        model = GPT(config)
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "published"),
    [("alef", 110_417_664), ("bet", 336_126_976), ("gimel", 750_659_840), ("dalet", 1_528_398_400)],
)
def test_published_models_have_the_published_sizes(name: str, published: int) -> None:
    config = replace(PRESETS[name], variant="legacy", bos=False, grid=(1, 16, 16), vocab_size=16384)
    assert parameter_count(config) == published


def kept_by_a_block(config: GPTConfig, precision: str, sequences: int = 2) -> float:
    """Bytes per token that autograd keeps for the backward pass of a block, without weights."""
    model = GPT(config).train()
    rotation = model.positions.rotation(torch.arange(config.window))
    lasting = [*model.parameters(), *(rotation or ())]  # one rotation serves all blocks
    weights = {tensor.untyped_storage().data_ptr() for tensor in lasting}
    kept: dict[int, Tensor] = {}

    def note(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x
        return x

    x = torch.randn(sequences, config.window, config.width, requires_grad=True)
    lower = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x), lower:
        model.blocks[0](x, rotation, None, 0)
    # Copies of the weights in bf16 are no activations; no activation has so few dimensions and no sequences.
    sizes = {parameter.numel() for parameter in model.blocks[0].parameters() if parameter.ndim == 2}
    activations = [
        x
        for address, x in kept.items()
        if address not in weights and not (x.ndim == 2 and x.dtype == torch.bfloat16 and x.numel() in sizes)
    ]
    return sum(x.untyped_storage().nbytes() for x in activations) / (sequences * config.window)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", get_args(VariantName))
def test_the_activations_of_a_block_are_exact(variant: VariantName, precision: str) -> None:
    config = replace(SMALL, variant=variant, grid=(1, 5, 7))
    assert kept_by_a_block(config, precision) == block_activations(config, precision)


def test_activation_checkpointing_keeps_one_vector_a_block() -> None:
    with_it, without = (activations(SMALL, 32, "fp32", checkpointing)[0] for checkpointing in (True, False))
    assert with_it == 32 * (2 + 2) * 4 * 64
    assert without == 32 * (2 * block_activations(SMALL, "fp32") + 2 * 4 * 64)


def test_weights_gradients_and_moments_take_16_bytes_a_parameter() -> None:
    memory = memory_ddp(SMALL, 32, 1, "fp32", False)
    assert memory.weights + memory.gradients + memory.moments == 16 * parameter_count(SMALL)
    assert memory.copies == 0


def test_several_gpus_need_buckets_and_bf16_copies() -> None:
    copies = [memory_ddp(SMALL, 32, gpus, precision, False).copies for gpus, precision in [(8, "fp32"), (1, "bf16")]]
    matrices = SMALL.layers * (4 * 64 * 64 + 3 * 64 * SMALL.feed_forward_width)
    assert copies == [4 * parameter_count(SMALL), 2 * matrices]


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("method", [memory_ddp, memory_fsdp])
def test_validation_needs_less_than_a_training_step(name: str, method: Callable[..., Memory]) -> None:
    config = replace(PRESETS[name], vocab_size=16384)
    memory = method(config, 4 * config.window, 8, "bf16", True)
    assert 0 < memory.validation < 1.1 * (memory.activations + memory.work)


def test_what_a_gpt_shares_is_gathered_block_by_block_and_the_rest_in_fp32() -> None:
    block = 4 * 64 * 64 + 3 * 64 * SMALL.feed_forward_width
    outside = parameter_count(SMALL) - SMALL.layers * block
    assert memory_fsdp(SMALL, 32, 8, "bf16", False).copies == (3 * 2 + 4) * block + 2 * 4 * outside


def test_sharded_training_divides_what_lasts_by_the_gpus() -> None:
    whole, part = memory_fsdp(SMALL, 32, 1, "bf16", False), memory_fsdp(SMALL, 32, 8, "bf16", False)
    for name in ("weights", "gradients", "moments"):
        assert getattr(part, name) == getattr(whole, name) / 8
    assert (part.copies, part.activations) == (whole.copies, whole.activations)


@pytest.mark.parametrize(("name", "says"), [("b200", "fits 180 GiB"), ("rtx4090", "does not fit 24 GiB")])
def test_it_says_whether_a_gpu_can_hold_it(name: str, says: str) -> None:
    memory = memory_ddp(PRESETS["gimel"], 16 * 1024, 8, "bf16", False)
    assert verdict(memory, name) == says


def printed(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    plan(PlanOptions.of(**options))
    return capsys.readouterr().out


def test_the_plan_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(
        capsys, **PRESETS["alef"].flat(), gpus=4, batch=64, grad_accumulation=2, tokens=1e9, gpu="a100-80", mfu=0.5
    )
    config = replace(PRESETS["alef"], vocab_size=16384)
    hours = flops_per_token(config) * 1e9 / (4 * 312e12 * 0.5) / 3600
    assert f"{parameter_count(config):,}" in text
    assert f"{hours:,.1f} h" in text
    assert "65,536 a step: 15,259 steps" in text
    assert "8 sequences at a time" in text
    assert [line.split()[0] for line in text.splitlines()[-4:]] == ["DDP", "FSDP2"] * 2


def test_a_plan_in_fp32_counts_with_the_peak_of_fp32(capsys: pytest.CaptureFixture[str]) -> None:
    assert "15.7 TFLOP/s each in fp32" in printed(capsys, gpu="v100", precision="fp32")


def test_a_gpu_without_bf16_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="v100 does not compute in bf16: plan with --precision fp32"):
        printed(capsys, gpu="v100")


def test_an_unknown_gpu_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"there is no GPU 'h20O'; there are .*rtx4090.*did you mean h200\?"):
        printed(capsys, gpu="h20O")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gpus": 0}, "--gpus 0 must be at least 1"),
        ({"tokens": 0.5}, "--tokens 0.5 must be at least 1"),
        ({"batch": 12}, "--batch 12 must be a multiple of --gpus 8 times --grad-accumulation 1"),
        ({"mfu": 1.5}, r"--mfu 1.5 must lie in \(0, 1\]"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlanOptions.of(**change)


def test_every_gpu_is_offered_by_the_help() -> None:
    text = field_docs(PlanOptions)["gpu"]
    assert all(name in text for name in GPUS)
