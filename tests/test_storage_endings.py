"""What ends a command and is nobody's mistake in the code is told in one line."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gpt.options import TrainOptions as GPTOptions
from sampling.options import CompleteOptions
from storage.endings import is_out_of_memory, memory_for, what_happened
from vqgan.options import TrainOptions as TokenizerOptions

GPT = GPTOptions.of(tokens=Path("tokens"), out=Path("run"), batch=48, grad_accumulation=2)
TOKENIZER = TokenizerOptions.of(data=Path("videos"), out=Path("run"), batch=48, workers=3)
ABSURD = 2**60


def too_large_for_torch() -> None:
    torch.empty(ABSURD, dtype=torch.uint8)


def too_large_for_numpy() -> None:
    np.empty(ABSURD, np.uint8)


def too_large_for_python() -> None:
    bytearray(ABSURD)


def too_large_for_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 139 GiB\n")


def refused_by_the_system() -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


SHORTAGES = (
    too_large_for_torch,
    too_large_for_numpy,
    too_large_for_python,
    too_large_for_a_gpu,
    refused_by_the_system,
)


def error_of(function: object) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        function()  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("function", SHORTAGES)
def test_a_shortage_of_memory_is_told_in_one_line_that_says_what_to_lower(function: object) -> None:
    said = what_happened(error_of(function), GPT)
    assert said is not None
    assert "\n" not in said
    assert said.startswith("out of memory")
    assert "raise --grad-accumulation (now 2), lower --batch (now 48)" in said


def test_only_what_a_command_has_is_named() -> None:
    error = error_of(too_large_for_python)
    assert "--grad-accumulation" not in str(what_happened(error, TOKENIZER))
    complete = CompleteOptions.of(gpt=Path("gpt"), tokenizer=Path("tokenizer"), input=Path("videos"), out=Path("out"))
    assert "lower --batch (now 4)" in str(what_happened(error, complete))
    assert what_happened(error, None) == "out of memory: free some, or take a smaller item"


def test_what_the_memory_was_for_is_told() -> None:
    with pytest.raises(MemoryError), memory_for("videos/large.mp4"), memory_for("this is not told twice"):
        too_large_for_torch()
    with pytest.raises(MemoryError) as caught, memory_for("videos/large.mp4"):
        too_large_for_torch()
    assert str(what_happened(caught.value, GPT)).startswith("out of memory for videos/large.mp4: ")


def test_what_a_worker_process_needed_memory_for_is_told() -> None:
    text = "Caught MemoryError in DataLoader worker process 0.\nOriginal Traceback:\n  ...\nMemoryError: for a.png\n"
    assert str(what_happened(MemoryError(text), TOKENIZER)).startswith("out of memory for a.png: ")


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError), memory_for("something"):
        {}["a"]
    assert what_happened(KeyError("a"), GPT) is None
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_the_file_or_else_the_folder(number: int) -> None:
    nameless = OSError(number, os.strerror(number))
    assert what_happened(nameless, GPT) == f"[Errno {number}] {os.strerror(number)}: something in 'run'"
    named = OSError(number, os.strerror(number), "run/metrics.jsonl")
    assert what_happened(named, GPT) == f"[Errno {number}] {os.strerror(number)}: 'run/metrics.jsonl'"


@pytest.mark.parametrize(
    "message",
    [
        "DataLoader worker (pid 12) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 12, 13) exited unexpectedly",
        "unable to mmap 4096 bytes from file <torch_1>: Cannot allocate memory (12)",
    ],
)
def test_workers_that_were_killed_are_told_in_one_line(message: str) -> None:
    said = what_happened(RuntimeError(message), TOKENIZER)
    assert said is not None
    assert "\n" not in said
    assert "--workers" in said


@pytest.mark.parametrize(
    "message",
    [
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:3",
        "Application timeout caused pair closure",
        "Gloo connectFullMesh failed with [gloo/transport/tcp/pair.cc:2] no error",
        "NCCL communicator was aborted on rank 1.",
    ],
)
def test_the_loss_of_another_process_is_told_in_one_line(message: str) -> None:
    assert str(what_happened(RuntimeError(message), GPT)).startswith("another process of this launch has ended")


def test_mistakes_are_told_as_they_are() -> None:
    assert what_happened(ValueError("--top-p 3 must be at most 1"), None) == "--top-p 3 must be at most 1"
    assert what_happened(FloatingPointError("the loss is nan"), None) == "the loss is nan"
