"""The command line: every subcommand maps onto one function of a room.

Options live in modules that import no torch, so that `--help` is instant; a function is imported when it is called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import make_dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from data.options import InspectOptions, PlayroomOptions, StimuliOptions, SubsetOptions
from experiments.diversity.options import DiversityOptions, DiversityReportOptions, StudyOptions
from experiments.memory.options import MemoryOptions, ReportOptions, SweepOptions
from experiments.options import DemoOptions
from gpt.options import EvaluateOptions as GPTEvaluateOptions
from gpt.options import ImportOptions as GPTImportOptions
from gpt.options import PlanOptions
from gpt.options import TrainOptions as GPTTrainOptions
from release.options import PublishOptions
from sampling.options import CompleteOptions
from vqgan.options import EncodeOptions, EvaluateOptions, LeakageOptions, PaletteOptions, TrainOptions
from vqgan.options import ImportOptions as TokenizerImportOptions

# Subcommand: its options, and the function that carries them out.
COMMANDS: dict[str, tuple[type, str]] = {
    "demo": (DemoOptions, "experiments.demo:run_demo"),
    "data playroom": (PlayroomOptions, "data.playroom.make:make_playroom"),
    "data stimuli": (StimuliOptions, "data.stimuli.layouts:make_stimuli"),
    "data inspect": (InspectOptions, "data.inspection:inspect_media"),
    "data subset": (SubsetOptions, "data.subset:make_subset"),
    "vqgan train": (TrainOptions, "vqgan.train:train"),
    "vqgan palette": (PaletteOptions, "vqgan.palette_fit:make_palette"),
    "vqgan eval": (EvaluateOptions, "vqgan.evaluate:evaluate"),
    "vqgan encode": (EncodeOptions, "vqgan.encode:encode"),
    "vqgan import": (TokenizerImportOptions, "vqgan.foreign.import_weights:import_weights"),
    "vqgan leakage": (LeakageOptions, "vqgan.leakage:measure_leakage"),
    "gpt train": (GPTTrainOptions, "sampling.watch:train_and_watch"),
    "gpt eval": (GPTEvaluateOptions, "gpt.evaluate:evaluate"),
    "gpt import": (GPTImportOptions, "gpt.import_weights:import_weights"),
    "gpt plan": (PlanOptions, "gpt.plan:plan"),
    "complete": (CompleteOptions, "sampling.complete:complete"),
    "publish": (PublishOptions, "release.publish:publish"),
    "memory run": (MemoryOptions, "experiments.memory.experiment:run_memory"),
    "memory sweep": (SweepOptions, "experiments.memory.sweep:run_sweep"),
    "memory report": (ReportOptions, "experiments.memory.report:report_memory"),
    "diversity run": (DiversityOptions, "experiments.diversity.experiment:run_diversity"),
    "diversity study": (StudyOptions, "experiments.diversity.study:run_study"),
    "diversity report": (DiversityReportOptions, "experiments.diversity.reporting.report:report_diversity"),
}
GROUPS = {
    "data": "Make data, and look at what is there.",
    "vqgan": "Train, import, measure and use tokenizers.",
    "gpt": "Train, measure and import GPTs over token grids.",
    "memory": "Recognition memory after k exposures.",
    "diversity": "How varied continuations are, and how near to the truth.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (by default the process's own) name."""
    options = _parse(list(sys.argv[1:] if arguments is None else arguments))
    target = next(function for kind, function in COMMANDS.values() if kind is type(options))
    module, function = target.split(":")
    try:
        getattr(importlib.import_module(module), function)(options)
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"secondsight: {error}")
    except KeyboardInterrupt:
        sys.exit("secondsight: stopped; what was finished is kept")


def _parse(arguments: list[str]) -> Any:
    choices: list[Any] = [_named(name, kind) for name, (kind, _) in COMMANDS.items() if " " not in name]
    for group, description in GROUPS.items():
        members = [_named(n.split()[1], kind) for n, (kind, _) in COMMANDS.items() if n.startswith(f"{group} ")]
        wrapper = make_dataclass(group.title(), [("command", reduce(or_, members))])
        wrapper.__doc__ = description
        choices.append(_named(group, wrapper))
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)
    chosen = tyro.cli(reduce(or_, choices), prog="secondsight", args=arguments, config=config)
    return getattr(chosen, "command", chosen)


def _named(name: str, kind: type) -> Any:
    return Annotated[kind, tyro.conf.subcommand(name)]


if __name__ == "__main__":
    main()
