"""The few forms in which numpy writes arrays, types and numbers into a pickle, made from their bytes; nothing is ever called.

The parts of `plain_pickle` that know numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BYTE_ORDERS = ("<", ">", "|", "=")

# The names in which numpy, old and new, writes arrays; module and name -> what it stands for
NAMES = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "array" for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): "scalar" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "frombuffer" for core in ("core", "_core")},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how protocol 2 writes bytes
    ("__builtin__", "bytes"): "no_bytes",
}


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names; only ever compared."""

    kind: str


class UnfinishedType:
    """A dtype in the making: its byte order follows in a BUILD."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def dtype(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]  # checked against BYTE_ORDERS


class UnfinishedArray:
    """An array in the making: shape, type and data follow in a BUILD."""

    value: np.ndarray | None = None


class Mark:
    """Where the items of a container begin on the stack; the class itself is what is put there."""


class Arguments(tuple):
    """A tuple with something unfinished in it: what a function is called with, never data."""


class Refused(Exception):
    """What is wrong, without the name of the file."""


def finished(value: Any) -> Any:
    """An object as it is given out."""
    if isinstance(value, UnfinishedArray):
        if value.value is None:
            raise Refused("an array without data; the file is damaged.")
        return value.value
    if isinstance(value, Name | UnfinishedType | Arguments) or value is Mark:
        raise Refused(
            "a name of a type or function where data should be; expected arrays, text, numbers and containers."
        )
    return value


def make_tuple(values: list[Any]) -> tuple[Any, ...]:
    """A tuple of data; or of arguments, if something in it is not data."""
    values = [
        value.value if isinstance(value, UnfinishedArray) and value.value is not None else value for value in values
    ]
    if any(isinstance(value, Name | UnfinishedType | UnfinishedArray | Arguments) or value is Mark for value in values):
        return Arguments(values)
    return tuple(values)


def dict_key(value: Any) -> str:
    """A key, which must be text."""
    if not isinstance(value, str):  # numbers could be chosen to make a dict slow
        raise Refused(f"a dict with a key of type {type(value).__name__}; expected text.")
    return value


def array_of(data: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    """The array that these bytes are: a view of them. Raises Refused if they are not."""
    if not isinstance(kind, UnfinishedType) or not isinstance(data, bytes | memoryview):
        raise Refused("an array of Python objects; expected plain numbers.")
    dtype = kind.dtype()
    if type(shape) is not tuple or len(shape) > 8 or any(type(side) is not int or side < 0 for side in shape):
        raise Refused("an array with a shape that is none; the file is damaged.")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"an array of shape {shape} with {len(data):,} bytes; the file is damaged.")
    flat = np.frombuffer(data, dtype) if len(data) else np.empty(0, dtype)
    return flat.reshape(shape, order=order)  # type: ignore[call-overload]


def _make_type(arguments: tuple[Any, ...]) -> UnfinishedType:
    code = arguments[0] if arguments else None
    if isinstance(code, bytes | memoryview):
        code = bytes(code).decode("ascii", "replace")
    # b1, i1..i8, u1..u8, f2..f8: nothing with objects, text or dates in it
    if not isinstance(code, str) or code.lstrip("<>|=") not in _CODES:
        shown = repr(code[:20]) if isinstance(code, str) else type(code).__name__
        raise Refused(f"an array of type {shown}; expected plain numbers.")
    return UnfinishedType(code)


def _make_array(arguments: tuple[Any, ...]) -> UnfinishedArray:
    if not arguments or not isinstance(arguments[0], Name) or arguments[0].kind != "ndarray":
        raise Refused("an object of another class than numpy's array; nothing of it was run.")
    return UnfinishedArray()


def _make_scalar(arguments: tuple[Any, ...]) -> Any:
    kind, data = arguments
    return array_of(data, kind, (), "C").item()


def _from_buffer(arguments: tuple[Any, ...]) -> np.ndarray:
    data, kind, shape, order = arguments
    return array_of(data, kind, shape, "F" if order == "F" else "C")


def _encode(arguments: tuple[Any, ...]) -> bytes:
    text, encoding = arguments
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("calls _codecs.encode in another way than bytes are written; nothing of it was run.")
    return text.encode("latin-1")


def _no_bytes(arguments: tuple[Any, ...]) -> bytes:
    if arguments:
        refuse_call(arguments)
    return b""


def refuse_call(arguments: tuple[Any, ...]) -> Any:
    """What the other names are called for."""
    raise Refused("makes an object in a way that arrays are not written; nothing of it was run.")


_CODES = frozenset(["b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"])
MADE: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "dtype": _make_type, "array": _make_array, "scalar": _make_scalar, "frombuffer": _from_buffer, "encode": _encode,
    "no_bytes": _no_bytes,
}  # fmt: skip
