#!/usr/bin/env bash
# torch 2.14.1: a function marked once_differentiable takes part in a second derivative as if it were linear, unnoticed.
#
# Guess: torch.autograd.function.once_differentiable makes a second derivative raise an error, as its use is to mark
# backward passes that cannot be differentiated.
# Behaviour: its result is marked so that differentiating it raises only if the gradient that comes in needs a gradient
# itself. For a loss that ends in a sum or in the function it does not, and the result is cut from the graph: what else
# the loss consists of still has second derivatives, and the sum of both is returned, too small, without a word. Only a
# loss that is nothing but the function raises, of a tensor that needs no gradient.
# Output seen, Python 3.11 on Linux (second derivatives at x = 3, square(x) being x * x):
#     square(x): element 0 of tensors does not require grad and does not have a grad_fn
#     square(x) + x**3: 18.0, right is 20
# A way round: raise in backward if torch.is_grad_enabled(), which it is there only with create_graph=True.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.14.1 numpy

cat >"$folder/look.py" <<'PYTHON'
import torch
from torch.autograd.function import once_differentiable


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


def second_derivative(function):
    x = torch.tensor(3.0, requires_grad=True)
    (first,) = torch.autograd.grad(function(x), x, create_graph=True)
    return torch.autograd.grad(first, x)[0].item()


try:
    print("square(x):", second_derivative(Square.apply))
    raise SystemExit("a second derivative of the function alone no longer raises")
except RuntimeError as error:
    print(f"square(x): {str(error).splitlines()[0]}")
found = second_derivative(lambda x: Square.apply(x) + x**3)
print(f"square(x) + x**3: {found}, right is 20")
assert found == 18.0, found
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
