#!/usr/bin/env bash
# torch 2.14.1: on a CPU, group norm of a batch in channels-last memory loses three digits and more.
#
# Guess: the layout of a tensor in memory changes the result of group_norm by rounding only.
# Behaviour: for contiguous memory the mean is taken away before squares are summed; for channels-last memory (2D and 3D)
# the variance is the mean of squares less the square of the mean, in fp32. Where the mean of a group is large beside its
# deviation, as it is behind convolutions with biases, the two numbers are nearly equal and their difference is wrong.
# Results are of size 1, so the errors below are relative ones. No warning tells.
# Output seen, Python 3.11 on Linux (largest error against float64):
#     2D, mean / deviation    0: contiguous 6.0e-07, channels last 2.0e-06
#     2D, mean / deviation   10: contiguous 1.8e-06, channels last 4.0e-04
#     2D, mean / deviation  100: contiguous 1.0e-05, channels last 3.1e-02
#     3D, mean / deviation    0: contiguous 5.9e-07, channels last 3.0e-06
#     3D, mean / deviation   10: contiguous 1.6e-06, channels last 8.3e-04
#     3D, mean / deviation  100: contiguous 9.3e-06, channels last 7.9e-02
# A way round: x.contiguous() before a group norm on a CPU.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.14.1

cat >"$folder/look.py" <<'PYTHON'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
lost = {}
for axes, shape, layout in (
    ("2D", (2, 64, 32, 32), torch.channels_last),
    ("3D", (2, 64, 4, 32, 32), torch.channels_last_3d),
):
    for mean in (0, 10, 100):
        x = torch.randn(shape) + mean
        exact = F.group_norm(x.double(), 32, eps=1e-6)
        plain = (F.group_norm(x, 32, eps=1e-6) - exact).abs().max().item()
        last = (F.group_norm(x.contiguous(memory_format=layout), 32, eps=1e-6) - exact).abs().max().item()
        print(f"{axes}, mean / deviation {mean:4}: contiguous {plain:.1e}, channels last {last:.1e}")
        lost[axes, mean] = last / plain
assert min(lost["2D", 100], lost["3D", 100]) > 100, lost
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
