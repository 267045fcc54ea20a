"""One table says what GPUs are capable of, to plans and to trainings."""

import subprocess
import sys

import pytest

from gpt.plan import peak
from training.gpus import GPUS, find_gpu, peak_flops


@pytest.mark.parametrize(
    ("device", "flops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("AMD Instinct MI250X", 191.5e12),
        ("AMD Instinct MI250X / MI250", 191.5e12),
        ("AMD Instinct MI300X", 1307.4e12),
        ("AMD Instinct MI300X VF", 1307.4e12),
        ("AMD Instinct MI355X", 2516.6e12),
        ("NVIDIA RTX A1000", None),
        ("Tesla T4", None),
        ("AMD Instinct MI300A", None),
        ("", None),
    ],
)
def test_the_peak_is_found_by_the_name_of_the_gpu(device: str, flops: float | None) -> None:
    assert peak_flops(device) == flops


@pytest.mark.parametrize("name", [name for name in GPUS if GPUS[name].bf16])
def test_a_plan_reckons_with_the_peak_that_a_training_is_measured_by(name: str) -> None:
    assert peak(name, "bf16") == pytest.approx(1e12 * (GPUS[name].bf16 or 0))
    assert peak(name, "fp32") == pytest.approx(1e12 * GPUS[name].fp32)


def test_a_half_of_an_mi250x_is_a_gpu() -> None:
    half = GPUS["mi250x"]
    assert (half.gibibytes, half.fp32, half.bf16) == (64, 47.9, 191.5)
    assert find_gpu("AMD Instinct MI250X") is half


def test_the_table_can_be_read_without_torch() -> None:
    code = "import sys, training.gpus; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
