"""Pickles of plain data - containers, text, numbers and numpy arrays - read without running anything in them.

A pickle is a program for a small stack machine, and Python's own reader calls whatever functions the program names. This is
another machine for the same programs: it knows the opcodes that plain data is written with, and it calls nothing at all. What
would be a call stays a name until it is one of the few forms in which numpy writes an array, a type or a number, and these are
made here from their bytes. Every other name, and every other opcode, is an error. Opcodes, and the readers of what follows them,
are those of `pickletools` in the standard library.

Arrays are views of the file's bytes and need no memory. Sizes are checked against what is left in the file before anything is
made, so a short file cannot ask for much memory.
"""

from __future__ import annotations

import math
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..raw_files import ReadError

_MAX_ITEMS = 100_000_000
_MAX_NAME = 1000  # bytes
_BYTE_ORDERS = ("<", ">", "|", "=")


def load(data: bytes | memoryview, name: str) -> Any:
    """The object in a pickle: `data` is its contents, such as a memoryview of a `mmap`, `name` what it is called in errors.

    Returns dict with text as keys, list, tuple, str, int, float, bool, None, memoryview for bytes, and read-only numpy arrays of numbers
    or bools, nested. Raises ReadError if it holds anything else, or is damaged.
    """
    machine = _Machine(memoryview(data))
    try:
        return machine.run()
    except _Refused as error:
        raise ReadError(f"{name}: byte {machine.at:,}: {error}; nothing of it was run.") from None
    except (IndexError, struct.error):
        raise ReadError(f"{name}: byte {machine.at:,}: no pickle, or a damaged one; download it again.") from None
    except (ValueError, TypeError, OverflowError, KeyError, RecursionError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ReadError(f"{name}: byte {machine.at:,}: no plain data, or damaged ({reason}).") from None


class _Refused(Exception):
    """What is wrong, without the name of the file and the place in it."""


class _NotData:
    """What data is made from, and which is never given out; as it is, the mark where the items of a container begin."""


@dataclass
class _Name(_NotData):
    """A function or class that the pickle names; only ever compared."""

    kind: str


@dataclass
class _Type(_NotData):
    """A dtype in the making: its byte order follows in a BUILD."""

    code: str
    order: str = "|"

    def dtype(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]  # checked against _BYTE_ORDERS


class _Array(_NotData):
    """An array in the making: shape, type and data follow in a BUILD."""

    value: np.ndarray | None = None


class _Arguments(tuple, _NotData):
    """A tuple with something in it that is not data: what a function is called with."""


_MARK = _NotData()


class _Machine:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.items = self.copied = 0

    def run(self) -> Any:
        """Go through the opcodes up to STOP."""
        if self.data[:1] != b"\x80":
            raise _Refused("does not begin as a pickle of protocol 2 to 5; save it again with a current Python")
        while (code := self.data[self.at]) != ord("."):  # STOP
            self.at += 1
            if code not in _STEPS:
                known = {ord(opcode.code): f"opcode {opcode.name}" for opcode in pickletools.opcodes}
                found = known.get(code, f"byte {code:#04x}")
                raise _Refused(f"{found} is no part of plain data (arrays, text, numbers, containers)")
            argument, action = _STEPS[code]
            action(self, None if argument is None else argument(self))
        if len(self.stack) != 1:
            raise _Refused("the pickle ends with an unfinished object; it is damaged")
        return _finished(self.stack[0])

    # What pickletools reads from

    def read(self, count: int) -> memoryview:
        """The next bytes, fewer at the end of the file."""
        self.at += count
        return self.data[self.at - count : self.at]

    def readline(self) -> bytes:
        """The rest of a line; nothing if it has no end."""
        rest = bytes(self.data[self.at : self.at + _MAX_NAME])
        end = rest.find(b"\n") + 1
        self.at += end
        return rest[:end]

    def push(self, value: Any) -> None:
        self.items += 1
        if self.items > _MAX_ITEMS:
            raise _Refused(f"more than {_MAX_ITEMS:,} objects; expected the annotations of a data set")
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise IndexError
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def since_mark(self) -> list[Any]:
        """Take off everything down to the last mark."""
        place = next(place for place in range(1, len(self.stack) + 2) if self.stack[-place] is _MARK)
        return self.pop(place)[1:]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise _Refused(f"refers to object {index}, which does not exist; the file is damaged")
        self.push(self.memo[index])

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def top(self, kind: type) -> Any:
        """The container on top of the stack."""
        if type(self.stack[-1]) is not kind:
            raise _Refused(f"items for something that is no {kind.__name__}")
        return self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        """APPEND and APPENDS."""
        self.top(list).extend(map(_finished, values))

    def update(self, values: list[Any]) -> None:
        """SETITEM and SETITEMS."""
        into = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str):  # numbers could be chosen to make a dict slow
                raise _Refused(f"a dict with a key of type {type(key).__name__}; expected text")
            into[key] = _finished(value)

    def name(self, module: Any, name: Any) -> None:
        """A global: one of `_NAMES`, or an error."""
        texts = isinstance(module, str) and isinstance(name, str)
        if not texts or (module, name) not in _NAMES:
            asked = f"{module}.{name}"[:80] if texts else "something without a name"
            raise _Refused(f"asks for {asked!r}; do not load this file with pickle unless you trust its author")
        self.push(_Name(_NAMES[module, name]))

    def reduce(self, function: Any, arguments: Any) -> None:
        """A call: one of the forms that stand for arrays, or an error."""
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise _Refused("calls something that is no function")
        if function.kind not in _MADE:
            raise _Refused("makes an object in a way that arrays are not written")
        made = _MADE[function.kind](*arguments)
        if isinstance(made, bytes):  # the only data that is a copy: no more of it than the file is long
            self.copied += len(made)
            if self.copied > len(self.data):
                raise _Refused("more data than the file holds")
        self.push(made)

    def build(self) -> None:
        """The state of a type or of an array."""
        state, made = self.stack.pop(), self.stack[-1]
        size = len(state) if isinstance(state, tuple) else 0
        if isinstance(made, _Type) and size >= 2 and state[1] in _BYTE_ORDERS:
            if any(part is not None for part in state[2:5]):
                raise _Refused("an array of records; expected plain numbers")
            made.order = state[1]
        elif isinstance(made, _Array) and made.value is None and size == 5:
            _, shape, kind, fortran, data = state
            made.value = _array_of(data, kind, shape, "F" if fortran else "C")
        else:
            raise _Refused("sets the state of something that is no array")


def _unwrapped(value: Any) -> Any:
    return value.value if isinstance(value, _Array) and value.value is not None else value


def _finished(value: Any) -> Any:
    """An object as it is given out."""
    value = _unwrapped(value)
    if isinstance(value, _NotData):
        raise _Refused("an array without data, or the name of a type or function, where data should be")
    return value


def _tuple(values: list[Any]) -> tuple[Any, ...]:
    """A tuple of data; or of arguments, if something in it is not data."""
    values = list(map(_unwrapped, values))
    return (_Arguments if any(isinstance(value, _NotData) for value in values) else tuple)(values)


def _array_of(data: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    """The array that these bytes are: a view of them."""
    if not isinstance(kind, _Type) or not isinstance(data, bytes | memoryview):
        raise _Refused("an array of Python objects; expected plain numbers")
    dtype = kind.dtype()
    if type(shape) is not tuple or len(shape) > 8 or any(type(side) is not int or side < 0 for side in shape):
        raise _Refused("an array with a shape that is none; the file is damaged")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise _Refused(f"an array of shape {shape} with {len(data):,} bytes; the file is damaged")
    flat = np.frombuffer(data, dtype) if len(data) else np.empty(0, dtype)
    return flat.reshape(shape, order=order)  # type: ignore[call-overload]


def _type(code: Any = None, *_: Any) -> _Type:
    if isinstance(code, bytes | memoryview):
        code = bytes(code).decode("ascii", "replace")
    if not isinstance(code, str) or code.lstrip("<>|=") not in _CODES:
        shown = repr(code[:20]) if isinstance(code, str) else type(code).__name__
        raise _Refused(f"an array of type {shown}; expected plain numbers")
    return _Type(code)


def _array(kind: Any = None, *_: Any) -> _Array:
    if not isinstance(kind, _Name) or kind.kind != "ndarray":
        raise _Refused("an object of another class than numpy's array")
    return _Array()


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("calls _codecs.encode in another way than bytes are written")
    return text.encode("latin-1")


# b1, i1..i8, u1..u8, f2..f8: nothing with objects, text or dates in it
_CODES = frozenset(["b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"])
_MADE: dict[str, Callable[..., Any]] = {
    "dtype": _type,
    "array": _array,
    "scalar": lambda kind, data: _array_of(data, kind, (), "C").item(),
    "frombuffer": lambda data, kind, shape, order: _array_of(data, kind, shape, "F" if order == "F" else "C"),
    "encode": _encode,
    "no_bytes": lambda: b"",
}
# The names in which numpy, old and new, writes arrays; module and name -> what it stands for
_NAMES = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "array" for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): "scalar" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "frombuffer" for core in ("core", "_core")},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how protocol 2 writes bytes
    ("__builtin__", "bytes"): "no_bytes",
}


def _check_protocol(machine: _Machine, version: int) -> None:
    if not 2 <= version <= 5:
        raise _Refused(f"pickle protocol {version}; expected 2 to 5; save it again with a current Python")


_VALUES = "BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8"
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": _check_protocol,
    **dict.fromkeys(("FRAME", "READONLY_BUFFER"), lambda m, _: None),  # hints for reading from a stream
    **dict.fromkeys(_VALUES.split(), _Machine.push),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "MARK": lambda m, _: m.push(_MARK),
    "POP": lambda m, _: m.pop(1),
    "TUPLE": lambda m, _: m.push(_tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.push(_tuple(m.pop(1))),
    "TUPLE2": lambda m, _: m.push(_tuple(m.pop(2))),
    "TUPLE3": lambda m, _: m.push(_tuple(m.pop(3))),
    "APPEND": lambda m, _: m.extend(m.pop(1)),
    "APPENDS": lambda m, _: m.extend(m.since_mark()),
    "SETITEM": lambda m, _: m.update(m.pop(2)),
    "SETITEMS": lambda m, _: m.update(m.since_mark()),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GLOBAL": lambda m, names: m.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*m.pop(2)),
    "REDUCE": lambda m, _: m.reduce(*m.pop(2)),
    "BUILD": lambda m, _: m.build(),
}
_READERS = {opcode.name: opcode.arg.reader if opcode.arg else None for opcode in pickletools.opcodes}
_READERS["BYTEARRAY8"] = _READERS["BINBYTES8"]  # written alike, and read as a view, not as a copy
# Byte of an opcode -> what reads its argument, if it has one, and what it does
_STEPS: dict[int, tuple[Callable[..., Any] | None, Callable[[_Machine, Any], Any]]] = {
    ord(opcode.code): (_READERS[opcode.name], _ACTIONS[opcode.name])
    for opcode in pickletools.opcodes
    if opcode.name in _ACTIONS
}
