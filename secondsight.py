"""The command line, and the only door: every command maps options onto one function of a room.

    secondsight gpt train ...
    accelerate launch "$(command -v secondsight)" gpt train ...

Options are resolved in one place, here: default < preset < `--config` < option. Rooms say of their options what there
is to say (`storage.options`) and import no torch for it, so that `--help` is instant; the function that carries a
command out is imported when it is called.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def _stopped() -> NoReturn:
    """End the process after Ctrl-C, as the shell knows it."""
    sys.stderr.write("secondsight: stopped; what was finished is kept\n")
    sys.exit(130)


try:
    import importlib
    import os
    import signal
    import threading
    from collections.abc import Mapping, Sequence
    from contextlib import nullcontext, suppress
    from dataclasses import make_dataclass
    from functools import reduce
    from importlib.metadata import version
    from itertools import zip_longest
    from operator import or_
    from pathlib import Path
    from typing import Annotated, Any

    import tyro

    from data.options import (
        InspectOptions,
        PlayroomOptions,
        PrepareOptions,
        StimuliOptions,
        SubsetOptions,
        SyntheticOptions,
    )
    from experiments.diversity.options import DiversityOptions, DiversityReportOptions, StudyOptions
    from experiments.memory.items.options import ItemsOptions
    from experiments.memory.key_options import KeyOptions
    from experiments.memory.observers.options import ContinuousOptions, ObserveOptions
    from experiments.memory.options import MemoryOptions, ReportOptions, SweepOptions
    from experiments.options import DemoOptions
    from experiments.people.data_options import ConvertOptions
    from experiments.people.options import ServeOptions, TaskOptions
    from experiments.physics import options as physics
    from experiments.scaling import options as scaling
    from experiments.scaling.report_options import ScalingReportOptions
    from gpt import options as gpt
    from release.options import PublishOptions
    from sampling.options import CompleteOptions
    from storage.config_file import read_config_file
    from storage.endings import what_happened
    from storage.options import Options, find_preset, leaves, presets_of, unknown_name, value_at
    from storage.parser import call_tyro, check_numbers, flatten, of_group, parser_type
    from storage.terminal import visible
    from storage.threads import limit_threads, making_room
    from storage.unlock import UnlockOptions
    from training.launching import check_command
    from viewing.app.options import AppOptions
    from vqgan import options as vqgan
except KeyboardInterrupt:  # imports take a moment, too
    _stopped()

# The options of every command, and the function that carries it out.
COMMANDS: dict[str, tuple[type[Options], str]] = {
    kind.command: (kind, target)
    for kind, target in (
        (DemoOptions, "experiments.demo:run_demo"),
        (CompleteOptions, "sampling.complete:complete"),
        (AppOptions, "viewing.app.serve:serve_app"),
        (PublishOptions, "release.publish:publish"),
        (UnlockOptions, "storage.unlock:unlock"),
        (PlayroomOptions, "data.playroom.make:make_playroom"),
        (SyntheticOptions, "data.synthetic.make:make_synthetic"),
        (StimuliOptions, "data.stimuli.layouts:make_stimuli"),
        (InspectOptions, "data.inspection:inspect_media"),
        (PrepareOptions, "data.prepare:prepare"),
        (SubsetOptions, "data.subset:make_subset"),
        (vqgan.TrainOptions, "vqgan.train:train"),
        (vqgan.PaletteOptions, "vqgan.palette_fit:make_palette"),
        (vqgan.EvaluateOptions, "vqgan.evaluate:evaluate"),
        (vqgan.EncodeOptions, "vqgan.encode:encode"),
        (vqgan.ImportOptions, "vqgan.foreign.import_weights:import_weights"),
        (vqgan.LeakageOptions, "vqgan.leakage:measure_leakage"),
        (gpt.TrainOptions, "sampling.watch:train_and_watch"),
        (gpt.EvaluateOptions, "gpt.evaluate:evaluate"),
        (gpt.ImportOptions, "gpt.import_weights:import_weights"),
        (gpt.PlanOptions, "gpt.plan:plan"),
        (MemoryOptions, "experiments.memory.experiment:run_memory"),
        (SweepOptions, "experiments.memory.sweep:run_sweep"),
        (ObserveOptions, "experiments.memory.observers.experiment:run_observe"),
        (ContinuousOptions, "experiments.memory.continuous:run_continuous"),
        (KeyOptions, "experiments.memory.key_choice:choose_key"),
        (ReportOptions, "experiments.memory.report:report_memory"),
        (ItemsOptions, "experiments.memory.items.report:compare_items"),
        (ConvertOptions, "experiments.people.converters.convert:convert_responses"),
        (TaskOptions, "experiments.people.task.make:make_task"),
        (ServeOptions, "experiments.people.task.serve:serve_task"),
        (DiversityOptions, "experiments.diversity.experiment:run_diversity"),
        (StudyOptions, "experiments.diversity.study:run_study"),
        (DiversityReportOptions, "experiments.diversity.reporting.report:report_diversity"),
        (physics.StimuliOptions, "experiments.physics.stimuli.make:make_stimuli"),
        (physics.PhysicsRunOptions, "experiments.physics.experiment:run_physics"),
        (physics.PhysicsReportOptions, "experiments.physics.reporting.report:report_physics"),
        (scaling.ScalingPlanOptions, "experiments.scaling.planning:plan_scaling"),
        (scaling.ScalingRunOptions, "experiments.scaling.running:run_scaling"),
        (scaling.ScalingFitOptions, "experiments.scaling.fit:fit_scaling"),
        (scaling.ScalingExtrapolateOptions, "experiments.scaling.extrapolate:extrapolate"),
        (scaling.ScalingTasksOptions, "experiments.scaling.tasks:classify_all"),
        (ScalingReportOptions, "experiments.scaling.report:report_scaling"),
    )
}
GROUPS = {
    "data": "Make data, and look at what is there.",
    "vqgan": "Train, import, measure and use tokenizers.",
    "gpt": "Train, measure and import GPTs over token grids.",
    "memory": "Recognition memory after k exposures.",
    "diversity": "How varied continuations are, and how near to the truth.",
    "physics": "Whether what cannot happen is surprising.",
    "scaling": "How far curves over compute, data or experience may be carried.",
}
USAGE_ERROR = 2
PATIENCE = 30.0
"""Seconds after which a process that fails no longer waits to be let go by those that it trained with."""
COMPLETION = "--tyro-"
"""How options begin that make scripts for the completion of shells."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (by default the process's own) name.

    Raises:
        SystemExit: with 2 if they mean nothing, 130 after Ctrl-C, 1 for whatever else ended the command.
    """
    own_process = arguments is None
    if own_process:
        limit_threads()
    try:
        try:
            with making_room() if own_process else nullcontext():
                _carry_out(list(sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
        finally:
            _leave_process_group(in_order=sys.exc_info()[0] is None)
            if own_process:
                # What the interpreter still does would otherwise end in a traceback after another Ctrl-C.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BrokenPipeError:
        # Whoever read the output (`| head`) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        _stopped()


def _carry_out(words: Sequence[str]) -> None:
    """Run the command that words on the command line name.

    Raises:
        SystemExit: they mean nothing, or the command could not do what it was asked to, which was said.
    """
    options = None
    try:
        options = parse(words)
        check_command(options.command)
        _check_beginning(options)
        module, function = COMMANDS[options.command][1].split(":")
        getattr(importlib.import_module(module), function)(options)
    except BrokenPipeError:
        raise
    except Exception as error:
        said = what_happened(error, options)
        if said is None:
            raise
        # In one piece, so that the lines of several processes do not run into each other.
        sys.stderr.write(f"secondsight: {visible(said)}\n")
        sys.exit(1)


def _check_beginning(options: Options) -> None:
    """Refuse what can be refused before the command is imported, which takes seconds.

    Raises:
        OSError, ValueError: see `storage.beginning.check_beginning`.
    """
    from storage.beginning import check_beginning  # here, so that the help of all commands stays instant

    check_beginning(options)


def _leave_process_group(in_order: bool) -> None:
    """Leave the other processes that a launcher started, however this one ends.

    The threads of the group would now and then be there when the interpreter ends, and abort the process.

    Args:
        in_order: whether all processes come here. If not, those of a GPU may wait for one another for ever.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return
    leaving = threading.Thread(target=_destroy_process_group, args=(distributed,), daemon=True)
    leaving.start()
    leaving.join(None if in_order else PATIENCE)
    if leaving.is_alive():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _destroy_process_group(distributed: Any) -> None:
    with suppress(RuntimeError):  # the others may have left already
        distributed.destroy_process_group()


def parse(words: Sequence[str]) -> Options:
    """Return the options that words on the command line mean.

    Raises:
        SystemExit: help was asked for, or they mean nothing; with code 2, after a line that says why.
    """
    name, rest = _find_command(words)
    kind = COMMANDS[name][0]
    try:
        check_numbers(kind, rest)
        given = _given(kind, rest)
        defaults = _resolve_defaults(kind, rest)
        kind.check_given(given)
        description = f"{kind.__doc__}\n\nexample: {kind.example}"
        parsed = call_tyro(parser_type(kind, defaults), f"secondsight {name}", rest, description)
        return kind.of(**flatten(parsed, leaves(kind)))
    except ValueError as error:
        _refuse(str(error))


def _find_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the command that stands first among words, and the words behind it.

    Raises:
        SystemExit: there is none: its group's help, or what was meant, is printed.
    """
    for length in (1, 2):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, list(words[length:])
    if words[:1] == ["--version"]:
        print(f"secondsight {version('secondsight')}")
        sys.exit(0)
    group = words[0] if words and words[0] in GROUPS else ""
    known = [name.removeprefix(f"{group} ") for name in COMMANDS if name.startswith(f"{group} ")]
    if not group:
        known = [*(name for name in COMMANDS if " " not in name), *GROUPS]
    word = next((word for word in words[bool(group) :] if not word.startswith("-")), None)
    if any(word.startswith(COMPLETION) for word in words):
        _show_all_commands(words)
    if word is not None:
        _refuse(unknown_name(f"command of {group}" if group else "command", word, known))
    try:
        _show_all_commands([*words, "--help"])
    except SystemExit:
        sys.exit(0 if {"-h", "--help"} & set(words) else USAGE_ERROR)


def _show_all_commands(words: Sequence[str]) -> NoReturn:
    """Print the help of all commands or of a group, or a script for the shell's completion, and end the process."""
    call_tyro(_all_commands(), "secondsight", words)
    raise AssertionError("tyro has ended the process")


def _refuse(message: str) -> NoReturn:
    print(f"secondsight: {visible(message)}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _given(kind: type[Options], words: Sequence[str]) -> frozenset[str]:
    """Return the names of the options that were really given, `preset` and `config` among them."""
    names = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words if word.startswith("--")}
    return frozenset(names & {*leaves(kind), "preset", "config"})


def _resolve_defaults(kind: type[Options], words: Sequence[str]) -> dict[str, Any]:
    """Return the values that options have unless they are given.

    They are those of the class, then of the preset, then what the options that are given imply, then those of the
    config file, but for what typed options overrule there.

    Raises:
        ValueError: there is no such preset, the file cannot be used, or both describe an architecture.
    """
    defaults = {name: leaf.default for name, leaf in leaves(kind).items()}
    presets = presets_of(kind)
    name = _value_of("--preset", words) if presets else None
    if presets and name is not None:
        field, by_name = presets
        preset = find_preset(name, by_name)
        defaults |= {leaf.name: value_at(preset, leaf.path[1:]) for leaf in of_group(kind, field)}
    path = _value_of("--config", words) if kind.takes_config else None
    values = read_config_file(Path(path), kind) if path is not None else {}
    given = {name: _value_of(f"--{name.replace('_', '-')}", words) for name in _given(kind, words)}
    _refuse_two_protocols(given, path, values)
    implied = kind.implied({**values, **given})
    defaults |= implied
    if path is not None:
        if presets and name is not None:
            _refuse_two_architectures(name, path, {leaf.name for leaf in of_group(kind, presets[0])}, defaults, values)
        overruled = kind.overruled(given) & implied.keys()
        defaults |= {name: value for name, value in values.items() if name not in overruled}
    return defaults


def _refuse_two_architectures(
    preset: str, path: str, names: set[str], defaults: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Refuse a preset beside a file that describes a whole architecture, another one."""
    if names <= values.keys() and any(values[name] != defaults[name] for name in names):
        raise ValueError(f"--preset {preset} and the architecture in --config {path} exclude each other: give one")


def _refuse_two_protocols(given: Mapping[str, Any], path: str | None, values: Mapping[str, Any]) -> None:
    """Refuse a protocol beside a file with the options of a run that had another one, or none."""
    if "protocol" in given and values.get("protocol", given["protocol"]) != given["protocol"]:
        raise ValueError(
            f"--protocol {given['protocol']} and --config {path}, which has the protocol "
            f"{values['protocol'] or 'none'}, exclude each other: give one"
        )


def _value_of(flag: str, words: Sequence[str]) -> str | None:
    """Return what stands behind a flag, the last one if there are several; None if it is not there."""
    found = None
    for word, following in zip_longest(words, words[1:]):
        if word == flag:
            found = following
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _all_commands() -> Any:
    """Return the type of all commands, for their help and for the shell's completion."""
    choices: list[Any] = [_subcommand(name, name) for name in COMMANDS if " " not in name]
    for group, description in GROUPS.items():
        members = [_subcommand(name.split()[1], name) for name in COMMANDS if name.startswith(f"{group} ")]
        wrapper = make_dataclass(group, [("command", reduce(or_, members))])
        wrapper.__doc__ = description
        choices.append(Annotated[wrapper, tyro.conf.subcommand(group)])
    return reduce(or_, choices)


def _subcommand(word: str, name: str) -> Any:
    kind = COMMANDS[name][0]
    return Annotated[parser_type(kind, _resolve_defaults(kind, ())), tyro.conf.subcommand(word)]


if __name__ == "__main__":
    main()
