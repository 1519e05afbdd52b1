"""The forms of numpy one by one; test_readers_plain_pickle.py has the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2i_hf.readers.generic.pickled_arrays import (
    MADE,
    Arguments,
    Mark,
    Name,
    Refused,
    UnfinishedArray,
    UnfinishedType,
    array_of,
    finished,
    make_tuple,
)


def float32(order: str = "<") -> UnfinishedType:
    kind = MADE["dtype"](("f4", False, True))
    kind.order = order
    return kind


@pytest.mark.parametrize("code", ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "<f4", ">i2"])
def test_types_of_numbers(code: str) -> None:
    assert MADE["dtype"]((code,)).dtype() == np.dtype(code)


@pytest.mark.parametrize(
    "code", ["O8", "O", "U5", "S3", "V8", "M8", "m8[s]", "c8", "f16", "f4,i4", "(2,)f4", "", "object", 4, None, (1,)]
)
def test_other_types_are_refused(code: Any) -> None:
    with pytest.raises(Refused, match="expected plain numbers"):
        MADE["dtype"]((code,))


def test_bytes_become_arrays_in_both_orders() -> None:
    values = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(array_of(values.tobytes(), float32(), (2, 3), "C"), values.reshape(2, 3))
    np.testing.assert_array_equal(
        array_of(values.astype(">f4").tobytes(), float32(">"), (2, 3), "F"), values.reshape(3, 2).T
    )
    assert array_of(b"", float32(), (0, 3), "C").shape == (0, 3)
    assert MADE["scalar"]((float32(), values[2:3].tobytes())) == 2.0
    with pytest.raises(Refused, match="24 bytes"):
        array_of(values.tobytes(), float32(), (2, 4), "C")
    for shape in ((-2, -3), [2, 3], (2.0, 3), (1,) * 9, "23"):
        with pytest.raises(Refused):
            array_of(values.tobytes(), float32(), shape, "C")
    for data, kind in ((["a"], float32()), (values.tobytes(), np.dtype("f4")), (None, float32())):
        with pytest.raises(Refused):
            array_of(data, kind, (6,), "C")


def test_what_is_unfinished_is_never_given_out() -> None:
    assert type(make_tuple([1, "a"])) is tuple
    for unfinished in (Name("dtype"), float32(), UnfinishedArray(), Mark, make_tuple([Name("dtype")])):
        made = make_tuple([1, unfinished])
        assert isinstance(made, Arguments)
        for value in (unfinished, made):
            with pytest.raises(Refused):
                finished(value)
    whole = UnfinishedArray()
    whole.value = np.arange(3)
    assert make_tuple([whole])[0] is whole.value and finished(whole) is whole.value
