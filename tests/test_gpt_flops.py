"""The arithmetic of a GPT, counted from its config, is that of its layers."""

from dataclasses import replace

import pytest
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_SHORT
from torch import nn

from gpt.config import PRESETS, GPTConfig
from gpt.flops import flops_per_token, matrix_parameters
from gpt.model import GPT


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY, GPT_IMAGEGPT, replace(GPT_SHORT, width=96), PRESETS["demo"]])
def test_matrix_parameters_are_the_weights_of_all_linear_layers(config: GPTConfig) -> None:
    linear = [module for module in GPT(config).modules() if isinstance(module, nn.Linear)]
    assert matrix_parameters(config) == sum(module.weight.numel() for module in linear)


def test_flops_are_six_per_weight_and_attention() -> None:
    assert flops_per_token(GPT_SHORT) == 6 * matrix_parameters(GPT_SHORT) + 12 * 2 * 16 * 32


def test_a_longer_window_only_adds_attention() -> None:
    longer = replace(GPT_SHORT, grid=(4, 4, 4))
    assert flops_per_token(longer) - flops_per_token(GPT_SHORT) == 12 * 2 * 16 * 32
