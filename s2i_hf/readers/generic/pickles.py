"""Pickles of plain data - containers, text, numbers and numpy arrays - read without running anything in them.

A pickle is a program for a small stack machine, and Python's own reader calls whatever functions the program names. This is
another machine for the same programs: it knows the opcodes that plain data is written with, and it calls nothing at all. What
would be a call stays a name until it is one of the few forms in which numpy writes an array, a type or a number, and these are
made here from their bytes. Every other name, and every other opcode, is an error. Opcodes as in `pickletools` of the standard library.

Arrays are views of the file's bytes and need no memory. Sizes are checked against what is left in the file before anything is
made, so a short file cannot ask for much memory.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any

from ..raw_files import ReadError
from .pickled_arrays import (
    BYTE_ORDERS,
    MADE,
    NAMES,
    Mark,
    Name,
    Refused,
    UnfinishedArray,
    UnfinishedType,
    array_of,
    dict_key,
    finished,
    make_tuple,
    refuse_call,
)

_MAX_ITEMS = 100_000_000
_MAX_NUMBER = 64  # bytes of a whole number


def load(data: bytes | memoryview, name: str) -> Any:
    """The object in a pickle.

    Args:
        data: Contents of the file, such as a memoryview of a `mmap`.
        name: What the file is called in errors.

    Returns:
        dict with text as keys, list, tuple, str, int, float, bool, None, memoryview for bytes, and read-only numpy arrays of numbers
        or bools, nested.

    Raises:
        ReadError: it holds anything else, or is damaged.
    """
    machine = _Machine(memoryview(data))
    try:
        return machine.run()
    except Refused as error:
        raise ReadError(f"{name}: {error}") from None
    except (IndexError, struct.error):
        raise ReadError(f"{name}: byte {machine.at:,}: no pickle, or a damaged one; download it again.") from None
    except (ValueError, TypeError, OverflowError, KeyError, RecursionError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ReadError(f"{name}: byte {machine.at:,}: no plain data, or damaged ({reason}).") from None


class _Machine:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.items = 0
        self.copied = 0

    def run(self) -> Any:
        """Go through the opcodes up to STOP."""
        if self.data[:1] != b"\x80":
            raise Refused("does not begin as a pickle of protocol 2 to 5; save it again with a current Python.")
        table = _OPCODES
        while True:
            code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                if len(self.stack) != 1:
                    raise Refused("the pickle ends with an unfinished object; it is damaged.")
                return finished(self.stack[0])
            operation = table.get(code)
            if operation is None:
                raise Refused(
                    f"byte {self.at - 1:,}: {_opcode_name(code)} is no part of plain data (arrays, text, numbers, containers); "
                    "nothing of it was run."
                )
            operation(self)

    # -- reading -----------------------------------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise Refused(f"byte {self.at:,}: {count:,} bytes should follow, and the file ends; it is truncated.")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, format: str) -> int:
        """A number of fixed size."""
        return struct.unpack(format, self.take(struct.calcsize(format)))[0]

    def line(self) -> str:
        """A name, up to the end of its line."""
        rest = bytes(self.data[self.at : self.at + 1000])
        end = rest.find(b"\n")
        if end < 0:
            raise Refused(f"byte {self.at:,}: a line of text has no end; the file is damaged.")
        self.at += end + 1
        return rest[:end].decode("ascii", "replace")

    # -- the stack -----------------------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        """Put an object on the stack."""
        self.items += 1
        if self.items > _MAX_ITEMS:
            raise Refused(f"more than {_MAX_ITEMS:,} objects; expected the annotations of a data set.")
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        """Take off everything down to the last mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is Mark:
                values = self.stack[place + 1 :]
                del self.stack[place:]
                return values
        raise IndexError

    def get(self, index: int) -> None:
        """Put a remembered object on the stack."""
        if index not in self.memo:
            raise Refused(f"byte {self.at:,}: refers to object {index}, which does not exist; the file is damaged.")
        self.push(self.memo[index])

    def put(self, index: int) -> None:
        """Remember the object on top of the stack."""
        self.memo[index] = self.stack[-1]

    def top(self, kind: type) -> Any:
        """The container on top of the stack."""
        if type(self.stack[-1]) is not kind:
            raise Refused(f"byte {self.at:,}: items for something that is no {kind.__name__}; nothing of it was run.")
        return self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        """APPENDS."""
        self.top(list).extend(map(finished, values))

    def update(self, values: list[Any]) -> None:
        """SETITEMS."""
        into = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            into[dict_key(key)] = finished(value)

    def wrap(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        values = [self.stack.pop() for _ in range(count)]
        self.push(make_tuple(values[::-1]))

    # -- what numpy writes ---------------------------------------------------------------------------------------------

    def name(self, module: Any, name: Any) -> None:
        """A global: one of `NAMES`, or an error."""
        kind = NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if kind is None:
            texts = isinstance(module, str) and isinstance(name, str)
            asked = f"{module}.{name}"[:80] if texts else "something without a name"
            raise Refused(
                f"asks for {asked!r}, which is no array, text, number or container; nothing of it was run. Do not load this file "
                "with pickle unless you trust its author."
            )
        self.push(Name(kind))

    def reduce(self) -> None:
        """A call: one of the four forms that stand for arrays, or an error."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused(f"byte {self.at:,}: calls something that is no function; nothing of it was run.")
        made = MADE.get(function.kind, refuse_call)(arguments)
        if isinstance(made, bytes):  # the only data that is a copy: no more of it than the file is long
            self.copied += len(made)
            if self.copied > len(self.data):
                raise Refused("more data than the file holds; nothing of it was run.")
        self.push(made)

    def build(self) -> None:
        """The state of a type or of an array."""
        state, made = self.stack.pop(), self.stack[-1]
        if (
            isinstance(made, UnfinishedType)
            and isinstance(state, tuple)
            and len(state) >= 2
            and state[1] in BYTE_ORDERS
        ):
            if any(part is not None for part in state[2:5]):
                raise Refused("an array of records; expected plain numbers.")
            made.order = state[1]
        elif isinstance(made, UnfinishedArray) and made.value is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, kind, fortran, data = state
            made.value = array_of(data, kind, shape, "F" if fortran else "C")
        else:
            raise Refused(f"byte {self.at:,}: sets the state of something that is no array; nothing of it was run.")


def _text(machine: _Machine, count: int) -> str:
    return str(machine.take(count), "utf-8", "surrogatepass")


def _long(machine: _Machine, count: int) -> int:
    if count > _MAX_NUMBER:
        raise Refused(f"a number of {count:,} bytes; expected data of a sensor.")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(module, name)


def _old_global(machine: _Machine) -> None:
    module = machine.line()
    machine.name(module, machine.line())


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.update([key, value])


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    machine.extend([value])


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if not 2 <= version <= 5:
        raise Refused(f"pickle protocol {version}; expected 2 to 5. Save it again with a current Python.")


_ACTIONS: dict[str, Callable[[_Machine], Any]] = {
    "PROTO": _protocol,
    "FRAME": lambda m: m.number("<Q"),  # a hint for reading from a stream
    "MARK": lambda m: m.push(Mark),
    "POP": lambda m: m.stack.pop(),
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "BININT": lambda m: m.push(m.number("<i")),
    "BININT1": lambda m: m.push(m.number("<B")),
    "BININT2": lambda m: m.push(m.number("<H")),
    "LONG1": lambda m: m.push(_long(m, m.number("<B"))),
    "BINFLOAT": lambda m: m.push(m.number(">d")),
    "SHORT_BINUNICODE": lambda m: m.push(_text(m, m.number("<B"))),
    "BINUNICODE": lambda m: m.push(_text(m, m.number("<I"))),
    "BINUNICODE8": lambda m: m.push(_text(m, m.number("<Q"))),
    "SHORT_BINBYTES": lambda m: m.push(m.take(m.number("<B"))),
    "BINBYTES": lambda m: m.push(m.take(m.number("<I"))),
    "BINBYTES8": lambda m: m.push(m.take(m.number("<Q"))),
    "BYTEARRAY8": lambda m: m.push(m.take(m.number("<Q"))),
    "READONLY_BUFFER": lambda m: None,
    "EMPTY_TUPLE": lambda m: m.push(()),
    "TUPLE": lambda m: m.push(make_tuple(m.since_mark())),
    "TUPLE1": lambda m: m.wrap(1),
    "TUPLE2": lambda m: m.wrap(2),
    "TUPLE3": lambda m: m.wrap(3),
    "EMPTY_LIST": lambda m: m.push([]),
    "APPEND": _append,
    "APPENDS": lambda m: m.extend(m.since_mark()),
    "EMPTY_DICT": lambda m: m.push({}),
    "SETITEM": _set_item,
    "SETITEMS": lambda m: m.update(m.since_mark()),
    "BINGET": lambda m: m.get(m.number("<B")),
    "LONG_BINGET": lambda m: m.get(m.number("<I")),
    "BINPUT": lambda m: m.put(m.number("<B")),
    "LONG_BINPUT": lambda m: m.put(m.number("<I")),
    "MEMOIZE": lambda m: m.put(len(m.memo)),
    "GLOBAL": _old_global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda m: m.reduce(),
    "BUILD": lambda m: m.build(),
}
_OPCODES = {ord(code.code): _ACTIONS[code.name] for code in pickletools.opcodes if code.name in _ACTIONS}


def _opcode_name(code: int) -> str:
    known = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
    return f"opcode {known[code]}" if code in known else f"byte {code:#04x}"
