"""Pickles as data: a reader that builds plain values and can call nothing.

A pickle is a program for a small stack machine, and Python's own machine calls whatever the program names. This one
knows the same instructions (those of `pickletools`) and builds numbers, texts, lists, tuples and dictionaries. What a
pickle names beyond these is never imported: it is made by a function of the caller's table, becomes inert `Settings`,
or is refused by its name. How much may be built is bounded by the instructions that are carried out, one value at most
for each, and by the file.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from storage.checked_files import on_one_line, shortly

MOST_STEPS = 4_000_000
"""Instructions of one pickle, at most; a checkpoint takes about 30 for each of its tensors."""

MOST_BITS = 1024
"""Bits of a whole number, at most."""

_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_BYTES = ("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_TEXTS = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_CONSTANTS = frozenset(("NEWTRUE", "NEWFALSE", *_NUMBERS, *_BYTES, *_TEXTS))
_SAID = {"NEWTRUE": True, "NEWFALSE": False}


class PickleError(ValueError):
    """A pickle is no data that can be read; the message is a clause that says why."""


class Readable(Protocol):
    """What is read: a file, a mapped file or bytes in memory, from where it stands."""

    def read(self, count: int, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Named:
    """A function or class of another program, of which only the name is known."""

    name: str


class Settings:
    """An object of another program of which only the attributes are kept."""

    def __init__(self, *arguments: Any) -> None:
        if arguments:
            self.arguments = arguments


class Buildable:
    """A value that a maker made, and that a pickle gives its state afterwards."""

    def take(self, state: Any) -> None:
        """Take the state, which may be anything.

        Raises:
            PickleError: it is none.
        """
        raise NotImplementedError


class NamesError(PickleError):
    """A pickle names what is neither data nor settings.

    Attributes:
        names: those, in the order in which they come.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"it names {', '.join(names)}")
        self.names = names


def read_pickle(
    file: Readable,
    makers: Mapping[str, Callable[..., Any]],
    inert: Callable[[str], bool],
    stored: Callable[[Any], Any],
    most_steps: int = MOST_STEPS,
) -> Any:
    """Return what the pickle holds that begins where `file` stands; the file then stands after it.

    Args:
        file: the pickle.
        makers: functions that make a value of the arguments of what is named so in the pickle.
        inert: whether what has a name becomes `Settings`.
        stored: makes a value of a persistent id.
        most_steps: instructions that are carried out, at most.

    Raises:
        NamesError: it names something that has no maker and is not inert.
        PickleError: it is damaged, too large, or holds something that is no data.
    """
    machine = _Machine(makers, inert, stored)
    try:
        machine.run(file, most_steps)
    except PickleError:
        if machine.refused:
            raise NamesError(list(machine.refused)) from None
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        if machine.refused:
            raise NamesError(list(machine.refused)) from None
        raise PickleError(_plainly(error)) from error
    if machine.refused:
        raise NamesError(list(machine.refused))
    return machine.result


class _Machine:
    """The stack machine, for one pickle."""

    def __init__(
        self, makers: Mapping[str, Callable[..., Any]], inert: Callable[[str], bool], stored: Callable[[Any], Any]
    ) -> None:
        self.makers = makers
        self.inert = inert
        self.stored = stored
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.refused: dict[str, None] = {}
        self.result: Any = None

    def run(self, file: Readable, most_steps: int) -> None:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):  # type: ignore[arg-type]
            if step >= most_steps:
                raise PickleError(f"it takes more than {most_steps:,} instructions to read, as no checkpoint does")
            if opcode.name in _CONSTANTS:
                self.push(_constant(_SAID.get(opcode.name, argument)))
            else:
                do = _INSTRUCTIONS.get(opcode.name)
                if do is None:
                    raise PickleError(f"it has the instruction {opcode.name}, which no weights need")
                do(self, argument)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def top(self) -> Any:
        if not self.stack:
            raise PickleError("it takes from an empty stack")
        return self.stack[-1]

    def pop(self) -> Any:
        self.top()
        return self.stack.pop()

    def popped_to_mark(self) -> list[Any]:
        if not self.marked:
            raise PickleError("it goes back to a mark that it never set")
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def drop_to_mark(self, _: Any) -> None:
        self.popped_to_mark()

    def mark(self, _: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def remember(self, index: Any) -> None:
        self.memo[len(self.memo) if index is None else index] = self.top()

    def recall(self, index: Any) -> None:
        if index not in self.memo:
            raise PickleError(f"it refers to a value {index} that it never made")
        self.push(self.memo[index])

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.top(), list):
            raise PickleError(f"it adds to {_kind(self.top())}, which is no list")
        self.top().extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Settings):
            target = vars(target)
        if not isinstance(target, dict):
            raise PickleError(f"it sets entries of {_kind(target)}, which is no dictionary")
        if len(items) % 2:
            raise PickleError("it has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def set_last(self, _: Any) -> None:
        value = self.pop()
        self.set_items([self.pop(), value])

    def append(self, _: Any) -> None:
        self.extend([self.pop()])

    def name(self, argument: Any) -> None:
        self.push(self.named(*str(argument).split(" ", 1)))

    def name_of_stack(self, _: Any) -> None:
        name = self.pop()
        self.push(self.named(self.pop(), name))

    def named(self, module: Any, name: Any = "") -> Named:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("it names something by what is no text")
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full not in self.makers and not self.inert(full):
            self.refused[on_one_line(full)] = None
        return Named(full)

    def make(self, _: Any) -> None:
        """Make a value of arguments: what Python would call a function or a class for."""
        arguments = self.pop()
        maker = self.pop()
        if not isinstance(maker, Named) or not isinstance(arguments, tuple):
            raise PickleError(f"it calls {_kind(maker)}")
        make = self.makers.get(maker.name, Settings)
        self.push(make(*arguments))

    def make_by_name(self, _: Any) -> None:
        self.pop()  # what would be arguments by name
        self.make(None)

    def build(self, _: Any) -> None:
        """Give a value its attributes. Those of dictionaries, such as versions of layers, are not kept."""
        state = self.pop()
        value = self.top()
        if isinstance(value, dict):
            return
        if isinstance(value, Buildable):
            value.take(state)
            return
        if not isinstance(value, Settings):
            raise PickleError(f"it sets attributes of {_kind(value)}")
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                vars(value).update({name: each for name, each in part.items() if isinstance(name, str)})

    def load_stored(self, _: Any) -> None:
        self.push(self.stored(self.pop()))

    def stop(self, _: Any) -> None:
        self.result = self.pop()


def _nothing(machine: _Machine, _: Any) -> None:
    """Carry out an instruction that concerns other readers only."""


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "NONE": lambda machine, _: machine.push(None),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "MARK": _Machine.mark,
    "LIST": lambda machine, _: machine.push(machine.popped_to_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.popped_to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.popped_to_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": lambda machine, _: machine.extend(machine.popped_to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.popped_to_mark()),
    "SETITEM": _Machine.set_last,
    "SETITEMS": lambda machine, _: machine.set_items(machine.popped_to_mark()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": _Machine.drop_to_mark,
    "DUP": lambda machine, _: machine.push(machine.top()),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.make,
    "NEWOBJ": _Machine.make,
    "NEWOBJ_EX": _Machine.make_by_name,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.load_stored,
    "STOP": _Machine.stop,
}


def _constant(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise PickleError(f"it has a whole number of {value.bit_length():,} bits, as no weights do")
    return value


def _key(key: Any) -> Any:
    """Return the key of a dictionary. Those of tuples within tuples take for ever to look up, and are refused."""
    plain = (str, int, float, bytes, type(None), Named, Settings)
    if isinstance(key, plain) or (isinstance(key, tuple) and all(isinstance(part, plain) for part in key)):
        return key
    raise PickleError(f"it has a dictionary with the key {shortly(key)}, which is neither a text nor a number")


def _kind(value: Any) -> str:
    return on_one_line(value.name) if isinstance(value, Named) else f"a {type(value).__name__}"


def _plainly(error: Exception) -> str:
    """Return why a pickle could not be read, as a clause."""
    text = on_one_line(str(error))
    return f"reading it fails with {type(error).__name__}" + (f" ({text})" if text else "")
