"""Options: what a command or the config of a model can be asked, and how that is written into a `config.json`.

An options class is a frozen dataclass with a sentence under every field, which is its help. What else there is to say
of an option is said at its field: the values it may take, and whether it tells runs apart (`about`). Options are
composed by nesting: a field whose type is an options class stands for the options of that class. Their names are
unique, so that commands and `config.json` know them without prefixes.

Imports no torch, so that `--help` is instant.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Identity = Literal["model", "run", "none"]
"""What an option tells apart. `model`: what is learned, and how. `run`: runs of one model, which study another list or
longer, or are tested otherwise. `none`: nothing; it says where or how often.

Whether a run that is resumed may have another value is said beside it (`about`)."""


Preset = TypeVar("Preset", bound="Options")


class OptionError(ValueError):
    """An option has a value that it cannot have, or is unknown; the message names it."""


LARGEST_SEED = 2**63 - 1
"""The generators of torch and of NumPy both take what lies between it and 0; NumPy refuses negative seeds."""
LARGEST_RATE = 1e38
"""Optimizers compute in single precision, which holds no larger number. A training whose rate is too high says so."""
MANY = 10**9
"""Upper end for numbers of steps, items and the like: more than any training has, and few enough to be counted."""
DIGITS = 24
"""Whole numbers of more digits are shown as a power of ten."""


class Range(NamedTuple):
    """The numbers that an option takes."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def describe(self) -> str:
        """Return what a number must do, in words."""
        end = self.below if self.at_most is None else self.at_most
        if end == 1:  # of shares
            begin = f"[{_shown(self.at_least)}" if self.above is None else f"({_shown(self.above)}"
            return f"lie in {begin}, {_shown(end)}{')' if self.at_most is None else ']'}"
        return self._describe_low() + self._describe_high()

    def _describe_low(self) -> str:
        if self.above is not None:
            return "be positive" if self.above == 0 else f"be above {_shown(self.above)}"
        return "not be negative" if self.at_least == 0 else f"be at least {_shown(self.at_least)}"

    def _describe_high(self) -> str:
        if self.at_most is not None:
            return (
                f" nor above {_shown(self.at_most)}" if self.at_least == 0 else f" and at most {_shown(self.at_most)}"
            )
        return "" if self.below is None else f" and below {_shown(self.below)}"

    def holds(self, value: float) -> bool:
        """Whether a number is one of them."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def option(default: Any, **said: Any) -> Any:
    """Return a dataclass field with a default and what there is to say of the option: see `about`."""
    return dataclasses.field(default=default, metadata=about(**said))


def about(
    *,
    identity: Identity = "model",
    may_change: bool | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    presets: Mapping[str, Any] | None = None,
    asked: bool = True,
    positional: bool = False,
    read_once: bool = False,
    must_hold: Callable[[Any], object] | None = None,
    before: Any = MISSING,
) -> dict[str, Any]:
    """Return the metadata of a dataclass field that is an option.

    Args:
        identity: what it tells apart.
        may_change: whether a run that is resumed may have another value than it began with, which is then said; by
            default that of options which tell nothing apart.
        at_least: the smallest number it takes.
        above: a number that it must be above.
        at_most: the largest number it takes; generous where nothing sets it, so that a slip of the hand is noticed.
        below: a number that it must be below.
        presets: of a nested options class, by name: what `--preset` chooses from.
        asked: whether commands ask for it; what is not asked is derived from other things.
        positional: whether commands take it without its name.
        read_once: whether it names what is read when a run begins, and no more when it is resumed.
        must_hold: refuses a path where there is not what a command needs to begin, with a ValueError or an OSError, and
            imports no torch: see `storage.beginning`.
        before: the value that runs of versions without the option had, where that is not its default.
    """
    bounds = Range(at_least, above, at_most, below)
    free = identity == "none" if may_change is None else may_change
    return {
        "identity": identity,
        "may_change": free,
        "range": bounds,
        "presets": presets,
        "asked": asked,
        "positional": positional,
        "read_once": read_once,
        "must_hold": must_hold,
        "before": before,
    }


class Leaf(NamedTuple):
    """One option of a class, or of one nested in it."""

    name: str
    path: tuple[str, ...]
    """Names of the fields that lead to it, itself the last."""
    annotation: Any
    default: Any
    """`dataclasses.MISSING` if it must be given."""
    metadata: Mapping[str, Any]
    owner: type[Options]
    """The class whose field it is."""

    @property
    def flag(self) -> str:
        """What commands call it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def identity(self) -> Identity:
        """What it tells apart."""
        return self.metadata.get("identity", "model")

    @property
    def may_change(self) -> bool:
        """Whether a run that is resumed may have another value than it began with."""
        return bool(self.metadata.get("may_change", False))

    @property
    def before(self) -> Any:
        """What runs of versions without the option had; `dataclasses.MISSING` where it must be given."""
        said = self.metadata.get("before", MISSING)
        return self.default if said is MISSING else said

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING


@dataclass(frozen=True)
class Options:
    """What all options classes share."""

    command: ClassVar[str] = ""
    """Words of the command that takes them, such as `gpt train`; empty for those that are nested in others."""
    example: ClassVar[str] = ""
    """A command line as people would type it."""
    takes_config: ClassVar[bool] = False
    """Whether `--config` reads them from a config.json."""
    keeps_checkpoints: ClassVar[bool] = False
    """Whether a run of the command is continued from `checkpoints/`, so that a folder without one holds no run."""
    begun_with: ClassVar[tuple[str, ...]] = ()
    """Patterns of files in the folder of a run, one of which is there as soon as there is something to go on with."""

    def __post_init__(self) -> None:
        """Check the ranges, and whether the values go together.

        Raises:
            OptionError: a value is out of its range.
            ValueError: values exclude each other.
        """
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name), field.metadata.get("range", Range()))
        self.check()

    def check(self) -> None:
        """Check whether the values go together; classes say here what cannot be said at one field.

        Raises:
            ValueError: they do not; the message names the options and their values.
        """

    @classmethod
    def check_given(cls, given: frozenset[str]) -> None:
        """Refuse options that exclude each other, by the names of those that were really given to a command.

        Raises:
            ValueError: two of them do.
        """

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return values that options have because of others that were given, unless they are given themselves.

        Args:
            given: options by name; `preset` is among them where one was named.
        """
        return {}

    @classmethod
    def overruled(cls, typed: Collection[str]) -> frozenset[str]:
        """Return the options whose implied values, where there are any, stand above those of a config file.

        Args:
            typed: names of the options that were typed.
        """
        return frozenset()

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Build from options by name, those of nested classes among them.

        Those left out have the values that the others imply, or their defaults.

        Raises:
            OptionError: there is no such option, one that must be given is missing, or a value is out of its range.
            ValueError: values exclude each other.
        """
        known = leaves(cls)
        for name in values:
            if name not in known:
                raise OptionError(unknown_name("option", name, known))
        return _build(cls, {**cls.implied(values), **values})

    def flat(self) -> dict[str, Any]:
        """Return all options by name, those of nested classes among them; those not asked for are left out."""
        return {name: value_at(self, leaf.path) for name, leaf in leaves(type(self)).items()}

    def changed(self, **values: Any) -> Self:
        """Return the same with other values of options by name; what is not asked for keeps its value."""
        known = leaves(type(self))
        for name in values:
            if name not in known:
                raise OptionError(unknown_name("option", name, known))
        return _replace(self, values)


_LEAVES: dict[type[Options], dict[str, Leaf]] = {}


def leaves(cls: type[Options]) -> dict[str, Leaf]:
    """Return every option that a class asks for, by name, required ones first.

    Raises:
        TypeError: two of them have the same name.
    """
    if cls not in _LEAVES:
        found: dict[str, Leaf] = {}
        for leaf in sorted(_walk(cls, (), None), key=lambda leaf: not leaf.required):
            if leaf.name in found:
                raise TypeError(f"{cls.__name__} has the option {leaf.name} twice")
            found[leaf.name] = leaf
        _LEAVES[cls] = found
    return _LEAVES[cls]


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Return the preset of a name.

    Raises:
        OptionError: there is none of that name; the nearest is named.
    """
    if name not in presets:
        raise OptionError(unknown_name("preset", name, presets))
    return presets[name]


def preset_name(value: Preset, presets: Mapping[str, Preset]) -> str | None:
    """Return the name of the preset that has the same values for all options asked for, None if there is none."""
    names = list(leaves(type(value)))
    same = (name for name, preset in presets.items() if all(getattr(preset, n) == getattr(value, n) for n in names))
    return next(same, None)


def presets_of(cls: type[Options]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the field that has presets, and these by name; None if a class has none."""
    for field in dataclasses.fields(cls):
        if field.metadata.get("presets"):
            return field.name, field.metadata["presets"]
    return None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return a message for people: there is no such name, which there are, and which may have been meant."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"there is no {kind} {name!r}; there are {', '.join(names)}{meant}"


def field_default(field: Field[Any]) -> Any:
    """Return the default of a dataclass field, `dataclasses.MISSING` if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def value_at(options: Any, path: tuple[str, ...]) -> Any:
    """Return what fields within fields lead to."""
    for name in path:
        options = getattr(options, name)
    return options


def number_type(annotation: Any) -> type | None:
    """Return int or float where values of a type are numbers, alone, in tuples or beside None; else None."""
    if annotation in (int, float):
        return cast(type, annotation)
    if get_origin(annotation) in (tuple, Union, types.UnionType):
        return next(filter(None, map(number_type, get_args(annotation))), None)
    return None


def check_number(name: str, value: Any, bounds: Range) -> None:
    """Refuse numbers that are not finite, are out of a range, or that 64 bits do not hold.

    Args:
        name: of the option.
        value: of it: a number, numbers in tuples, or something else, which is let through.
        bounds: the range; one without ends takes every number.

    Raises:
        OptionError: a number is refused; the option and the range are named.
    """
    flag = f"--{name.replace('_', '-')}"
    has_ends = any(end is not None for end in bounds)
    for number in _numbers(value):
        if isinstance(number, float) and not math.isfinite(number):
            also = f": it must {bounds.describe()}" if has_ends else ""
            raise OptionError(f"{flag} {number:g} must be a finite number{also}")
        if has_ends and not bounds.holds(number):
            raise OptionError(f"{flag} {_shown(number)} must {bounds.describe()}")
        if isinstance(number, int) and not -(2**63) <= number < 2**63:
            raise OptionError(f"{flag} {_shown(number)} must fit into 64 bits")


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, tuple | list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _shown(number: float | None) -> str:
    """Return a number in digits, a whole one that would fill a line as a power of ten; `-inf` for an end not given."""
    if number is None:
        return "-inf"
    if not isinstance(number, int):
        return f"{number:g}"
    if abs(number) < 10**DIGITS:
        return str(number)
    return f"{'-' if number < 0 else ''}10^{int(abs(number).bit_length() * math.log10(2))}"


def _walk(cls: type[Options], path: tuple[str, ...], default: Any) -> Iterator[Leaf]:
    """Yield the options of a class, whose defaults a nested class has from the value `default`."""
    annotations = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if not field.metadata.get("asked", True):
            continue
        value = field_default(field) if default is None else getattr(default, field.name)
        annotation = annotations[field.name]
        if isinstance(annotation, type) and issubclass(annotation, Options):
            yield from _walk(annotation, (*path, field.name), None if value is MISSING else value)
        else:
            yield Leaf(field.name, (*path, field.name), annotation, value, field.metadata, cls)


def _build(cls: type[Any], values: Mapping[str, Any]) -> Any:
    arguments: dict[str, Any] = {}
    annotations = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        annotation = annotations[field.name]
        if isinstance(annotation, type) and issubclass(annotation, Options):
            base = field_default(field)
            arguments[field.name] = _build(annotation, values) if base is MISSING else _replace(base, values)
        elif field.name in values and field.metadata.get("asked", True):
            arguments[field.name] = values[field.name]
        elif field_default(field) is MISSING:
            raise OptionError(f"--{field.name.replace('_', '-')} is missing")
    return cls(**arguments)


def _replace(options: Any, values: Mapping[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        before = getattr(options, field.name)
        if isinstance(before, Options):
            changes[field.name] = _replace(before, values)
        elif field.name in values and field.metadata.get("asked", True):
            changes[field.name] = values[field.name]
    return dataclasses.replace(options, **changes)
