"""Published protocols: what `--protocol` sets, and what of it a run does otherwise. Imports no torch.

`igpt2022` is the protocol of Orhan (2022, arXiv 2204.13061), as its public code (github.com/eminorhan/igpt-memory,
commit 899345e) carries it out; docs/explanation/recognition_memory.md says what of it is reproduced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Protocol = Literal["igpt2022"]

LEARNING = {
    "batch": 32,
    "learning_rate": 5e-4,
    "optimizer": "adam",
    "optimizer_state": "fresh",
    "grad_clip": 0.0,
    "steps_per_exposure": 1,
    "replay": 0,
    "trained_blocks": None,
    "order": "igpt2022",
    "then": None,
    "seeds": 2,
}
"""How a list is learned."""
IMAGES = {"colours": 512, "size": 64, "resize": "pillow", "fit_palette": False, "fillers": None, "half": "all"}
"""What is made of images."""
NOISE = {"noise": 2500, "noise_length": 4096, "noise_codes": 512, "seeds": 1}
"""What is different where random sequences are studied."""
TEST = {"ties": "wrong"}
SIZE = {"layers": 24, "heads": 8, "width": 512}
"""Of Image GPT S."""
ARCHITECTURE = {"variant": "legacy", "bos": False, "dropout": 0.0}
"""GPT-2, whose first token is not modelled."""
NEW = {"initial_weights": "mingpt"}
EXPOSURES = {"new": 100, "gpt": 30, "noise": 50}
"""Passes of the published curves: of a new GPT, of one that is there, over random sequences."""
SETS = frozenset(LEARNING | IMAGES | NOISE | TEST | SIZE | ARCHITECTURE | NEW)
"""Names of the options that a protocol may set, but for the exposures."""
IN_A_SWEEP = {"batch": "batches", "learning_rate": "learning_rates"}
"""Options of which a sweep takes several values."""


@dataclass(frozen=True)
class ProtocolOption:
    """A row of protocol.csv: an option that the protocol sets, and what it is in this run."""

    option: str
    """Name of the option; of an imported GPT and of a tokenizer also what they are."""
    protocol: str
    """Its value in the protocol; empty where it is not given."""
    run: str
    """Its value in this run."""
    differs: Literal["yes", "no"]
    """Whether the two are different."""


def protocol_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the protocol sets, by name of the option; nothing without one.

    Args:
        given: options that have been given; `protocol` decides, and of `gpt`, `gpts`, `noise` and `preset` whether
            they are there.
    """
    if given.get("protocol") != "igpt2022":
        return {}
    noise = given.get("noise") is not None
    values = LEARNING | TEST | (NOISE if noise else IMAGES)
    if given.get("gpt") is None:
        values |= ARCHITECTURE | NEW | ({} if "preset" in given else SIZE)
    values["exposures"] = EXPOSURES["noise" if noise else "new" if given.get("gpt") is None else "gpt"]
    return values


def sweep_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the protocol sets of a sweep, by name of the option; of its models `sweep_model` makes the rest."""
    only_gpts = bool(given.get("gpts")) and not given.get("presets")
    values = protocol_options({**given, "gpt": given.get("gpts") if only_gpts else None})
    left_out = {*SIZE, *ARCHITECTURE}
    return {
        IN_A_SWEEP.get(name, name): (value,) if name in IN_A_SWEEP else value
        for name, value in values.items()
        if name not in left_out
    }


def compare(protocol: Protocol, run: Mapping[str, Any]) -> list[ProtocolOption]:
    """Set the options of a run beside those of its protocol.

    Args:
        protocol: its name.
        run: the options of the run by name, with what the tokenizer and the GPT really are in their place.
    """
    wanted = protocol_options({**{name: run.get(name) for name in ("gpt", "noise")}, "protocol": protocol})
    if run.get("gpt") is not None:
        wanted |= ARCHITECTURE
    return [
        ProtocolOption(name, _word(value), _word(run[name]), "no" if run[name] == value else "yes")
        for name, value in wanted.items()
    ]


def describe_protocol(protocol: Protocol, options: list[ProtocolOption]) -> str:
    """Return the name of the protocol and what the run does otherwise, in words."""
    others = [
        f"--{row.option.replace('_', '-')} {row.run or 'not given'} (there {row.protocol or 'not given'})"
        for row in options
        if row.differs == "yes"
    ]
    return f"{protocol}, in all options" if not others else f"{protocol}, but for {', '.join(others)}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
