"""Which numbers are computed with, in training and where nothing is learned.

| name | layers | products of matrices and convolutions in fp32 |
|---|---|---|
| fp32 | fp32 | exact to fp32 rounding, on GPUs too |
| tf32 | fp32 | on tensor cores, with 10 bits of mantissa; in training alone |
| bf16 | bf16 by autocast | exact to fp32 rounding |

`auto` is bf16 on GPUs whose tensor cores know it, and on processors where it is faster by `FASTER`, which is measured.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from storage.run_folder import holds_training
from training.options import InferencePrecision, TrainingOptions

Settled = Literal["fp32", "tf32", "bf16"]
"""What there is to compute with, once `auto` has been decided: the names that are recorded."""
NAMES: Mapping[str, Settled] = {"fp32": "fp32", "tf32": "tf32", "bf16": "bf16"}

FASTER = 1.3
"""How many times as fast as in fp32 a product must be in bf16 for `auto` to give up digits for it."""

ROWS, WIDTH = 64, 128
"""Of the product that is timed: 2 million operations, 4 ms where bf16 is a hundred times as slow as fp32."""
FEWEST, MOST = 3, 9
"""Rounds in which it is made in turn in both."""
LONGEST = 0.01
"""Seconds of computing after which no further round begins, once there were the fewest."""

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags, in Linux's list, of processors that multiply in bf16; the last one is that of ARM."""


class Chosen(NamedTuple):
    """A precision, and why it is that one."""

    precision: Literal["fp32", "bf16"]
    """What is computed with."""
    why: str
    """In words, for people."""


class AnyOptions(Protocol):
    """Options of a command, one of which is a precision."""

    def flat(self) -> dict[str, Any]:
        """See `storage.options.Options.flat`."""

    def changed(self, **values: Any) -> Self:
        """See `storage.options.Options.changed`."""


Asked = TypeVar("Asked", bound=AnyOptions)


def settle(
    options: Asked, name: str, device: torch.device, recorded: Settled | None = None
) -> tuple[Asked, str | None]:
    """Return options whose precision is one of `NAMES`, and what to say of the choice; None where there was none.

    Args:
        options: of a command.
        name: of the option that is a precision.
        device: that computes.
        recorded: what the run that is about to be continued began with, which `auto` keeps; None if there is none.
            Another that is asked for is not judged, as the run is not continued in it.

    Raises:
        ValueError: the device does not compute in it, or is slower than in fp32 and nobody insists.
    """
    asked = options.flat()[name]
    flag = f"--{name.replace('_', '-')}"
    if recorded is not None and asked != "auto" and NAMES[asked.removesuffix("!")] != recorded:
        # Whoever opens the run refuses another option than it began with, whatever the device is fast in.
        return options.changed(**{name: NAMES[asked.removesuffix("!")]}), None
    if asked == "tf32":
        check_tf32(device)
        return options, None
    if asked != "auto":
        return options.changed(**{name: choose_precision(asked, device, flag).precision}), None
    chosen = choose_precision("auto", device, flag)
    if recorded is None or recorded == chosen.precision:
        return options.changed(**{name: chosen.precision}), f"{chosen.precision}, {chosen.why}"
    _check_can_go_on(recorded, device, flag)
    words = f"{recorded}, as the run began; begun on this machine it would be {chosen.precision}"
    return options.changed(**{name: recorded}), words


def choose_precision(asked: InferencePrecision, device: torch.device, flag: str = "--precision") -> Chosen:
    """Return the precision that is meant on a device.

    Args:
        asked: by the options; `bf16!` is bf16 whether or not the device is fast in it.
        device: that computes.
        flag: with which it was asked for.

    Raises:
        ValueError: bf16 is asked for, and the device is a processor that is slower in it than in fp32.
    """
    if asked == "auto":
        return _choose(device)
    if asked == "bf16" and device.type == "cpu":
        check_speed(bf16_speed(device), flag)
    return Chosen("fp32" if asked == "fp32" else "bf16", "as asked")


def is_bf16(precision: InferencePrecision | Settled | None, device: torch.device) -> bool:
    """Whether a precision means bf16 on a device, where it was settled by `settle` or nobody settles it.

    Nothing is refused. None is what nobody asked for: bf16 on GPUs that know it, and otherwise fp32, so that all
    processors compute the same.
    """
    if precision is None:
        return device.type == "cuda" and has_bf16(device)
    return precision in ("bf16", "bf16!") or (precision == "auto" and _choose(device).precision == "bf16")


def judge_processor(speed: float | None) -> Chosen:
    """Return what `auto` is on a processor.

    Args:
        speed: how many times as fast as fp32 it is in bf16; None where it has no instructions for that.
    """
    if speed is None:
        return Chosen("fp32", "as this processor has no instructions for bf16")
    if speed < FASTER:
        return Chosen("fp32", f"as bf16 is only {speed:.2g}x as fast here")
    return Chosen("bf16", f"{speed:.1f}x as fast as fp32 here")


def check_speed(speed: float, flag: str = "--precision") -> None:
    """Refuse bf16 on a processor that is `speed` times as fast in it as in fp32, if that is slower.

    Raises:
        ValueError: it is.
    """
    if speed < 1:
        raise ValueError(
            f"{flag} bf16 is {speed:.2g}x as fast as fp32 on this processor: give fp32 or auto, or bf16! to insist"
        )


def check_tf32(device: torch.device) -> None:
    """Refuse TF32 on a device that has no tensor cores for it.

    Raises:
        ValueError: it has none.
    """
    if not has_tf32(device):
        raise ValueError(
            f"--precision tf32 needs an NVIDIA GPU of the Ampere generation or later, and this computes on "
            f"{device.type}: give fp32, bf16 or auto"
        )


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions of its own for products of bf16 matrices, which may be slow all the same."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in known) or bool(_flags() & INSTRUCTIONS)
    return False


def has_tf32(device: torch.device) -> bool:
    """Whether a device has tensor cores for fp32 numbers with 10 bits of mantissa."""
    return device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device)[0] >= 8


@cache
@torch.no_grad()
def bf16_speed(device: torch.device) -> float:
    """Return how many times as fast as in fp32 a processor makes a small product in bf16; measured once, in 20 ms.

    Both are made in turn, in one thread, so that other processes disturb them little and alike; the shortest counts.
    """
    with _one_thread(), torch.autocast("cpu", enabled=False):
        kinds = (torch.float32, torch.bfloat16)
        single, half = shortest_in_turn([partial(F.linear, *_operands(dtype, device)) for dtype in kinds])
    return single / half


def shortest_in_turn(works: Sequence[Callable[[], object]], longest: float = LONGEST) -> list[float]:
    """Return the shortest time that this thread computed for each of several works, seconds, from `FEWEST` to `MOST`.

    Time in which it had to wait for a processor does not count.

    Args:
        works: are done in turn; the first time of each does not count, as it may be prepared for.
        longest: seconds of computing after which no further round begins, once there were the fewest.
    """
    rounds: list[list[float]] = []
    for work in works:
        work()
    began = _computed()
    while len(rounds) < FEWEST or (len(rounds) < MOST and _computed() - began < longest):
        rounds.append([_time(work) for work in works])
    return [min(times) for times in zip(*rounds, strict=True)]


def layers_in(precision: InferencePrecision | Settled, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which layers compute in a precision on a device, where nothing is learned.

    Autocast lowers products and convolutions alone; tokenizers look for codes in fp32 all the same.
    """
    return torch.autocast(device.type, torch.bfloat16) if is_bf16(precision, device) else nullcontext()


def read_precision(folder: Path, name: str = "precision") -> Settled | None:
    """Return the precision that the `config.json` in a folder records under a name; None if it names none."""
    try:
        return NAMES.get(json.loads((folder / "config.json").read_text(encoding="utf-8")).get(name))
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def left_open(folder: Path, name: str) -> tuple[str, ...]:
    """Return the name of a precision if the run in a folder did not record what `auto` was: for `open_run(same=...)`.

    Runs of earlier versions did not, where nothing was learned; what they made says itself what it was made in.
    """
    return (name,) if read_precision(folder, name) is None else ()


def recorded_precision(training: TrainingOptions, out: Path) -> Settled | None:
    """Return the precision that the run in `out`, which is about to be continued, began with; None if there is none.

    Every process reads it for itself, because what they need to talk to each other is made for a precision.
    """
    return None if training.overwrite or not holds_training(out) else read_precision(out)


def forget_earlier_trainings() -> None:
    """Forget what accelerate keeps of an earlier training of this process, above all its precision.

    It keeps the precision of its first use for the whole process, and refuses any other. The processes that train
    together, and the devices, stay as they are.
    """
    # Here, as what samples and scores asks for a precision too, and needs nothing else of accelerate.
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state()
    GradientState._reset_state()


def _choose(device: torch.device) -> Chosen:
    """Return what `auto` is on a device."""
    fast = has_bf16(device)
    if device.type == "cpu":
        return judge_processor(bf16_speed(device) if fast else None)
    return Chosen("bf16", "which is fast on this device") if fast else Chosen("fp32", "as bf16 is slow on this device")


def _check_can_go_on(recorded: Settled, device: torch.device, flag: str) -> None:
    """Check that a device computes in what a run began with.

    Raises:
        ValueError: it does not, or it is slower in it than in fp32.
    """
    if recorded == "tf32":
        check_tf32(device)
    if recorded == "bf16" and device.type == "cpu" and bf16_speed(device) < 1:
        raise ValueError(
            f"the run began in bf16, which is {bf16_speed(device):.2g}x as fast as fp32 on this processor: go on where "
            f"it is faster, or give {flag} bf16! to insist"
        )


def _time(work: Callable[[], object]) -> float:
    """Return the seconds that this thread computed for a work."""
    start = _computed()
    work()
    return _computed() - start


def _computed() -> float:
    """Return the seconds that this thread has computed, counted from any moment."""
    # Windows counts them in steps of 16 ms, so that a short work would take no time.
    return time.perf_counter() if os.name == "nt" else time.thread_time()


def _operands(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what is multiplied; no random numbers are drawn for it."""
    inputs, weights = (torch.full((rows, WIDTH), 0.5, dtype=dtype, device=device) for rows in (ROWS, WIDTH))
    return inputs, weights


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within this context, torch computes in the calling thread alone."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _flags() -> frozenset[str]:
    """Return the flags that Linux lists of the first processor; none on other systems."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())
