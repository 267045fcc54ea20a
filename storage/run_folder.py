"""The run folder: what was asked, on what machine, and how it went.

config.json        the merged options, written when everything was checked, just before step 0
environment.json   versions, device, git commit
metrics.jsonl      one JSON object a line
checkpoints/       see `storage.model_folder`
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from storage.config_file import COMMAND, OF_ONE_RUN, config_of, values_of
from storage.files import to_json, write_text
from storage.model_paths import hub_commits
from storage.options import Leaf, Options, leaves
from storage.places import list_checkpoints

Resume = Literal["no", "auto"]
AnyOptions = TypeVar("AnyOptions", bound=Options)


class RunFolderError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


class Change(NamedTuple):
    """An option whose value is another than when the run began, in types of JSON."""

    before: Any
    now: Any


@dataclass(frozen=True)
class RunCheck:
    """What a command will find in its run folder, as far as its options tell."""

    continues: bool
    """Whether a run is there that goes on."""
    changes: Mapping[str, Change]
    """Options that are others than those it began with, and may be, by name."""
    moved: Mapping[str, Change]
    """Paths that are others than those it began with, by name: whether the same lies there the command must see."""


def check_run(
    out: Path,
    options: Options,
    resume: Resume = "no",
    overwrite: bool = False,
    *,
    begun: bool | None = None,
    by_content: Collection[str] = (),
) -> RunCheck:
    """Check that `out` can be the run folder of a command; nothing is written.

    Args:
        out: the run folder, which need not be there.
        options: of the command.
        resume: `auto` continues the run that is there.
        overwrite: replaces it.
        begun: whether the folder holds something to go on with, without which what is recorded there is no run; by
            default whether there is a checkpoint or a final model, for commands that keep such, and otherwise True.
        by_content: names of options that are paths and may be others if the same lies there.

    Raises:
        RunFolderError: `out` holds a run and neither `--resume auto` nor `--overwrite` was given, or the run
            it holds is another command's or was started with other options that must stay (they are named).
    """
    new = RunCheck(continues=False, changes={}, moved={})
    if overwrite:
        return new
    if begun is None:
        begun = not options.keeps_checkpoints or holds_training(out)
    if not (out / "config.json").exists():
        if begun and options.keeps_checkpoints:
            raise RunFolderError(
                f"{out} holds a model or checkpoints and no config.json, so that it cannot be continued: replace it "
                "with --overwrite, or choose another --out"
            )
        return new
    if not begun and is_of(out, type(options)):
        return new  # a start that failed, or was killed before there was anything to go on with
    if resume == "no":
        raise RunFolderError(
            f"{out} already holds a run: continue it with --resume auto, replace it with --overwrite, "
            "or choose another --out"
        )
    wanted = config_of(options)
    check = _compare(_with_commits(_read_config(out), wanted, out), wanted, type(options), out, by_content)
    _refuse_other_commits(hub_commits(_read_now(options, continues=True)), out)
    return check


def open_run(
    out: Path,
    options: Options,
    resume: Resume = "no",
    overwrite: bool = False,
    *,
    begun: bool | None = None,
    same: Collection[str] = (),
) -> Path:
    """Create the run folder `out`, or go on in it: then it is said on stderr which options are others than before.

    To be called when everything else was checked, just before the first result is written.

    Args:
        out: the run folder.
        options: of the command; they are recorded.
        resume: `auto` continues the run that is there.
        overwrite: replaces it.
        begun: whether the folder holds something to go on with: see `check_run`.
        same: names of options that are paths and are others than those the run began with, where the command found the
            same.

    Returns:
        `out`, holding `config.json`, which is written last, and `environment.json`.

    Raises:
        RunFolderError: see `check_run`.
    """
    from storage.environment import environment  # here, so that a folder can be judged without torch

    check = check_run(out, options, resume, overwrite, begun=begun, by_content=same)
    hub = hub_commits(_read_now(options, check.continues))
    if check.continues:
        hub = {**_recorded_commits(out), **hub}
    for name, change in {**check.changes, **check.moved}.items():
        print(f"changed since the run began: {_words(leaves(type(options))[name], change)}", file=sys.stderr)
    if not check.continues and (overwrite or options.keeps_checkpoints):
        _discard_run(out)
    write_text(out / "environment.json", to_json(environment() | ({"hub": hub} if hub else {})))
    write_text(out / "config.json", to_json(config_of(options)))
    return out


def check_run_folder(run: Path) -> None:
    """Refuse a folder of a run that is not there.

    Raises:
        RunFolderError: it is not.
    """
    if not run.exists():
        _read_config(run)


def has_begun(out: Path, kind: type[Options]) -> bool:
    """Whether a folder holds something of a run that can be gone on with: what `kind.begun_with` names."""
    return any(next(out.glob(pattern), None) for pattern in kind.begun_with)


def holds_training(out: Path) -> bool:
    """Whether a folder holds a complete checkpoint, or the model of a training that came to its end."""
    return bool(list_checkpoints(out)) or (out / "final" / "model.safetensors").exists()


@contextmanager
def leaving_nothing(out: Path, *names: str) -> Iterator[None]:
    """Remove what a start that fails made in its run folder; of a run that has begun nothing is removed.

    What was there before stays, and so does what was found out by a start that people stopped.

    Args:
        out: the run folder.
        names: of files and folders in it that the start makes.
    """
    new = [out / name for name in names if not (out / name).exists()]
    try:
        yield
    except Exception:
        for path in new if not (out / "config.json").exists() else ():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def read_options(run: Path, kind: type[AnyOptions]) -> AnyOptions:
    """Return the options of the run in a folder.

    Raises:
        RunFolderError: the folder holds no run of that command, or its `config.json` is damaged or of an older version.
    """
    content = _read_config(run)
    _check_command(content, kind, run)
    content.pop(COMMAND)
    try:
        return kind.of(**{**_of_versions_before(kind), **values_of(content, kind)})
    except (TypeError, ValueError) as error:
        raise RunFolderError(f"the config.json in {run} is damaged, or of an older version: {error}") from error


def _of_versions_before(kind: type[Options]) -> dict[str, Any]:
    """Return the options by name that had another value than their default before there were such options."""
    return {name: leaf.before for name, leaf in leaves(kind).items() if leaf.before != leaf.default}


def _read_config(run: Path) -> dict[str, Any]:
    path = run / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{run} holds no run: its config.json cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is damaged: it holds a {type(content).__name__}, not options by name")
    return content


def _check_command(content: Mapping[str, Any], kind: type[Options], run: Path) -> None:
    if COMMAND not in content:
        raise RunFolderError(
            f"{run} holds a model, or a run of an older version, which can neither be continued nor reported: choose "
            "another --out, begin anew with --overwrite, or repeat the run"
        )
    if content[COMMAND] != kind.command:
        raise RunFolderError(f"{run} holds a run of `{content[COMMAND]}`, not of `{kind.command}`")


def _recorded_commits(out: Path) -> dict[str, str]:
    """Return the commits of the models that a run had from the hub; none where that is not known."""
    try:
        commits = json.loads((out / "environment.json").read_text(encoding="utf-8"))["hub"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return commits if isinstance(commits, dict) else {}


def _read_now(options: Options, continues: bool) -> dict[str, Any]:
    """Return the options by name, without those that name what a run which goes on does not read again."""
    known = leaves(type(options))
    once = {name for name, leaf in known.items() if leaf.metadata.get("read_once")} if continues else set()
    return {name: value for name, value in options.flat().items() if name not in once}


def _with_commits(before: dict[str, Any], now: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Return the options of a run, where now its recorded commit is asked for with that commit in them."""
    pinned = {name: f"{name.partition('@')[0]}@{commit}" for name, commit in _recorded_commits(out).items()}
    options = dict(before)
    for option, value in before.items():
        if isinstance(value, str) and value in pinned and pinned[value] == now.get(option):
            options[option] = pinned[value]
    return options


def _refuse_other_commits(hub: Mapping[str, str], out: Path) -> None:
    for name, before in _recorded_commits(out).items():
        if hub.get(name, before) != before:
            raise RunFolderError(
                f"the run in {out} was begun with commit {before} of {name}, which is {hub[name]} by now: ask for "
                f"{name.partition('@')[0]}@{before}"
            )


def _discard_run(out: Path) -> None:
    """Removes what a run is resumed from or judged by: later checkpoints of an old run would outlive new ones."""
    (out / "metrics.jsonl").unlink(missing_ok=True)
    for folder in ("checkpoints", "final"):
        shutil.rmtree(out / folder, ignore_errors=True)


def is_of(out: Path, kind: type[Options]) -> bool:
    """Whether the record in a folder is of that command."""
    try:
        return bool(_read_config(out).get(COMMAND) == kind.command)
    except RunFolderError:
        return False


def _compare(
    before: Mapping[str, Any], now: Mapping[str, Any], kind: type[Options], out: Path, by_content: Collection[str]
) -> RunCheck:
    """Say which options are others than those that are recorded.

    Raises:
        RunFolderError: one of them must not be.
    """
    _check_command(before, kind, out)
    said: dict[str, Change] = {}
    moved: dict[str, Change] = {}
    refused: dict[str, Change] = {}
    for name, change in _changes(before, now, kind):
        leaf = leaves(kind)[name]
        if leaf.may_change or _is_same_path(leaf, change):
            said[name] = change
        elif name in by_content:
            moved[name] = change
        else:
            refused[name] = change
    if refused:
        raise RunFolderError(
            refusal(out, "; ".join(_words(leaves(kind)[name], refused[name]) for name in sorted(refused)))
        )
    return RunCheck(continues=True, changes=said, moved=moved)


def other_options(run: Path, options: AnyOptions, but: Collection[str]) -> str:
    """Return the options that must stay when a run goes on and are others than in the run of a folder.

    Args:
        run: the folder.
        options: to be compared.
        but: names of options that need not agree.

    Returns:
        them, as people type them, both values of each; empty if there are none.

    Raises:
        RunFolderError: the folder holds no run of that command.
    """
    kind = type(options)
    before = _read_config(run)
    _check_command(before, kind, run)
    differing = [
        _words(leaves(kind)[name], change)
        for name, change in _changes(before, config_of(options), kind)
        if name not in but and not leaves(kind)[name].may_change and not _is_same_path(leaves(kind)[name], change)
    ]
    return "; ".join(differing)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], kind: type[Options]) -> Iterator[tuple[str, Change]]:
    """Yield the options that are others than those recorded, by name, but for those that say where a run lies."""
    for name, leaf in leaves(kind).items():
        change = Change(before.get(name, _default(leaf)), now[name])
        if change.before != change.now and name not in OF_ONE_RUN:
            yield name, change


def refusal(out: Path, changes: str) -> str:
    """Return the line with which a run is not continued because of `changes`, such as `--batch 8 -> 16`."""
    return (
        f"the run in {out} was started with other options ({changes}): give the old ones, begin anew with --overwrite,"
        " or choose another --out"
    )


def _default(leaf: Leaf) -> Any:
    """Return what an option meant before it was there, in types of JSON."""
    return None if leaf.required else json.loads(to_json(leaf.before))


def _is_same_path(leaf: Leaf, change: Change) -> bool:
    return (leaf.annotation is Path or Path in get_args(leaf.annotation)) and _same_place(change)


def _same_place(change: Change) -> bool:
    """Whether two paths, as typed, mean the same folder or file."""
    if change.before is None or change.now is None:
        return False
    return Path(change.before).resolve() == Path(change.now).resolve()


def _words(leaf: Leaf, change: Change) -> str:
    """Return how an option was changed, as people type it."""
    before, now = (_typed(leaf, value) for value in change)
    return (
        f"{before} -> {now.removeprefix(f'{leaf.flag} ')}"
        if before.startswith(f"{leaf.flag} ")
        else f"{before} -> {now}"
    )


def _typed(leaf: Leaf, value: Any) -> str:
    """Return an option with a value of a config.json, as people type it."""
    if isinstance(value, bool):
        return leaf.flag if value else f"--no-{leaf.flag.removeprefix('--')}"
    if value is None or value == []:
        return f"no {leaf.flag}"
    return f"{leaf.flag} {' '.join(map(str, _flattened(value)))}"


def _flattened(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _flattened(part)
    else:
        yield value
