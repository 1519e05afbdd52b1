"""Pickles are programs: here that those of plain data are read alike, and that nothing in any other is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import given, settings, strategies as st
from own_files import damages, reads_or_refuses

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic import pickles
from s2i_hf.readers.generic.pickles import load


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(map(same, a.values(), b.values()))
    return type(a) is type(b) and a == b


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text(max_size=300)
    | st.sampled_from([np.arange(6).reshape(2, 3), np.zeros((2, 0), np.float16), np.asfortranarray(np.eye(3)), np.array([True]),
                       np.arange(3, dtype=">i2"), np.array(2.5, np.float32)])
)  # fmt: skip
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    | st.lists(inner, max_size=5).map(tuple),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(value=DATA, protocol=st.integers(2, 5))
def test_plain_data_is_read_as_pickle_reads_it(value: Any, protocol: int) -> None:
    assert same(load(pickle.dumps(value, protocol), "a.pkl"), value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_shared_objects_numbers_of_numpy_and_long_containers(protocol: int) -> None:
    array = np.random.default_rng(0).normal(size=(3, 70_000))
    value = {
        "a": array,
        "again": [array, array],
        "number": [np.float32(0.5), np.int64(-3), np.bool_(True)],
        "long": list(range(3000)),
    }
    out = load(pickle.dumps(value, protocol), "a.pkl")
    assert out["again"][0] is out["again"][1] and np.array_equal(out["a"], array)
    assert out["number"] == [0.5, -3, True] and out["long"] == value["long"]


@pytest.mark.parametrize("old", [b"numpy.core", b"numpy._core"])
def test_arrays_of_old_and_new_numpy(old: bytes) -> None:
    data = pickle.dumps(np.arange(4.0), 2)
    data = data.replace(b"numpy._core", old).replace(b"numpy.core", old)
    assert np.array_equal(load(data, "a.pkl"), np.arange(4.0))


def test_arrays_are_views_of_the_file() -> None:
    data = pickle.dumps(np.zeros(1_000_000), 4)
    tracemalloc.start()
    array = load(data, "a.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array.nbytes == 8_000_000 and peak < 200_000 and not array.flags.writeable


# -- what must not run -------------------------------------------------------------------------------------------------


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call if len(self.call) > 2 else (self.call[0], tuple(self.call[1]))


class Slots:
    __slots__ = ("a",)

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("this must not run")


class Persistent(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return "stored elsewhere" if value == "x" else None


def with_persistent_id(protocol: int) -> bytes:
    buffer = io.BytesIO()
    Persistent(buffer, protocol).dump(["x"])
    return buffer.getvalue()


def malicious(marker: Path) -> dict[str, bytes]:
    """Programs that would create `marker`, read files or make strange objects."""
    touch = f"open({str(marker)!r}, 'w').close()"
    shell = f"touch {marker}"
    inside = np.empty(1, dtype=object)
    inside[0] = Calls(os.system, (shell,))
    cases = {
        "os.system": Calls(os.system, (shell,)),
        "in a list": {"annotations": [1, Calls(os.system, (shell,))]},
        "as a key": {Calls(os.system, (shell,)): 1},
        "eval": Calls(eval, (touch,)),
        "exec": Calls(exec, (touch,)),
        "open": Calls(open, (str(marker), "w")),
        "import": Calls(__import__, ("os",)),
        "getattr": Calls(getattr, ("", "upper")),
        "object array": inside,
        "numpy.load": Calls(np.load, (str(marker),)),
        "numpy.save": Calls(np.save, (str(marker), [1])),
        "numpy.frombuffer": Calls(np.frombuffer, (b"abcd",)),
        "state": Calls(list, ((1, 2),), {"a": 1}),
        "slots": Slots(),
        "set": {1, 2},
        "frozenset": frozenset({1}),
        "complex": 1j,
        "bytearray": Calls(bytearray, (10**9,)),
        "range": range(10**9),
        "OrderedDict": OrderedDict(a=1),
        "path": marker,
        "class": int,
        "matrix": np.ma.masked_array([1, 2]),
        "records": np.zeros(2, dtype=[("x", "f4")]),
        "text array": np.array(["a", "b"]),
        "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
        "complex array": np.zeros(2, dtype=complex),
    }
    dumped = {f"{name}, protocol {n}": pickle.dumps(value, n) for name, value in cases.items() for n in (2, 4, 5)}
    dumped |= {f"persistent id, protocol {n}": with_persistent_id(n) for n in (2, 4)}
    start = b"\x80\x02"
    call = b"(X" + struct.pack("<I", len(shell)) + shell.encode()
    dumped |= {
        "INST": start + call + b"ios\nsystem\n.",
        "OBJ": start + b"(cos\nsystem\nX" + struct.pack("<I", len(shell)) + shell.encode() + b"o.",
        "NEWOBJ": start + b"cos\nsystem\n)\x81.",
        "EXT1": start + b"\x82\x01.",
        "_reconstruct of another class": start + b"cnumpy.core.multiarray\n_reconstruct\ncos\nsystem\nK\x00\x85U\x01b\x87R.",
        "_reconstruct without ndarray": start + b"cnumpy.core.multiarray\n_reconstruct\nX\x02\x00\x00\x00osK\x00\x85C\x01b\x87R.",
        "the array function itself": start + b"cnumpy\nndarray\n(K\x02tR.",
        "encode with another codec": start + b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        "dtype from state": start + b"cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R.",
        "name as data": start + b"]cnumpy\ndtype\na.",
        "dotted name": start + b"cnumpy\ncore.multiarray._reconstruct\n.",
        "nested names": start + b"]\x8c\x05numpy\x8c\x04load\x93a.",
        "name of no text": start + b"K\x01K\x02\x93.",
        "state of a list": start + b"]}b.",
    }  # fmt: skip
    return dumped


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_is_run_and_everything_but_data_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    for name, data in malicious(marker).items():
        with pytest.raises(ReadError) as caught:
            load(data, "evil.pkl")
        assert one_sentence(caught.value) and "evil.pkl" in str(caught.value), (name, str(caught.value))
        assert not marker.exists(), name


def test_the_malicious_ones_would_have_run(tmp_path: Path) -> None:
    """So that the test above tests something."""
    marker = tmp_path / "ran"
    with pytest.raises(TypeError):  # after the call, on what it returned
        pickle.loads(pickle.dumps({"annotations": Calls(exec, (f"open({str(marker)!r}, 'w').close()",))}))[
            "annotations"
        ][0]
    assert marker.exists()


def test_it_names_what_was_asked_for() -> None:
    with pytest.raises(
        ReadError, match=r"evil\.pkl: byte \d+: asks for '(posix|nt|os)\.system'.*nothing of it was run"
    ):
        load(pickle.dumps(Calls(os.system, ("true",))), "evil.pkl")


# -- what must not take memory or time ---------------------------------------------------------------------------------


def tuples(levels: int) -> bytes:
    """A pair of a pair of a pair ..., each twice the same: 2 ** levels items in a few bytes."""
    return b"\x80\x04)" + b"".join(
        b"\x940h" + bytes([level]) + b"h" + bytes([level]) + b"\x86" for level in range(levels)
    )


BOMBS = {
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "long": b"\x80\x04\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "negative length": b"\x80\x02T" + struct.pack("<i", -5) + b"x.",
    "array without data": pickle.dumps(np.zeros(4), 2).replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85"),
    "unknown memo": b"\x80\x02j" + struct.pack("<I", 1 << 31) + b".",
    "key of a deep tuple": tuples(60) + b"}\x94h\x00K\x01s.",
    "name of a deep tuple": tuples(60) + b"h\x3b\x93.",
    "shape of a deep tuple": tuples(60)
    + b"0cnumpy._core.numeric\n_frombuffer\n(C\x00cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85Rh\x3bX\x01\x00\x00\x00CtR.",
    "type of a deep tuple": tuples(60) + b"0cnumpy\ndtype\nh\x3b\x85R.",
    "the same text encoded again and again": b"\x80\x02c_codecs\nencode\nq\x00X\xe8\x03\x00\x00" + b"a" * 1000
    + b"X\x06\x00\x00\x00latin1\x86q\x010]" + b"h\x00h\x01Ra" * 500 + b".",
    "deep lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"]}b.",
    "no end": b"\x80\x02" + b"]" * 1000,
    "empty": b"",
    "protocol 0": pickle.dumps([1], 0),
    "protocol 9": b"\x80\x09].",
    "no mark": b"\x80\x02t.",
    "empty stack": b"\x80\x02a.",
    "mark as data": b"\x80\x02](a.",
    "odd items": b"\x80\x02}(K\x01u.",
    "not hashable": b"\x80\x02}]K\x01s.",
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_at_once(case: str) -> None:
    tracemalloc.start()
    with pytest.raises(ReadError) as caught:
        load(BOMBS[case], "bomb.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert one_sentence(caught.value) and "bomb.pkl" in str(caught.value)
    assert peak < 40 << 20


def test_deep_tuples_as_data_are_read_at_once() -> None:
    value = load(tuples(60) + b".", "a.pkl")
    for _ in range(60):
        assert len(value) == 2 and value[0] is value[1]
        value = value[0]


WHOLE = pickle.dumps(
    {
        "split": {"xsub_train": ["a"]},
        "annotations": [{"frame_dir": "a", "label": 3, "keypoint": np.zeros((1, 2, 4, 2), np.float16)}],
    },
    4,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), protocol=st.sampled_from([2, 4, 5]))
def test_damaged_files_are_read_or_refused(data: st.DataObject, protocol: int) -> None:
    whole = pickle.dumps(pickle.loads(WHOLE), protocol)
    content = data.draw(damages(whole) | st.binary(max_size=40).map(lambda tail: b"\x80\x04" + tail + b"."))
    reads_or_refuses(lambda: load(content, "fuzz.pkl"), "fuzz.pkl")


# -- the forms of numpy one by one ------------------------------------------------------------------------------------


def float32(order: str = "<") -> pickles._Type:
    kind = pickles._MADE["dtype"]("f4", False, True)
    kind.order = order
    return kind


@pytest.mark.parametrize("code", ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "<f4", ">i2"])
def test_types_of_numbers(code: str) -> None:
    assert pickles._MADE["dtype"](code).dtype() == np.dtype(code)


@pytest.mark.parametrize(
    "code", ["O8", "O", "U5", "S3", "V8", "M8", "m8[s]", "c8", "f16", "f4,i4", "(2,)f4", "", "object", 4, None, (1,)]
)
def test_other_types_are_refused(code: Any) -> None:
    with pytest.raises(pickles._Refused, match="expected plain numbers"):
        pickles._MADE["dtype"](code)


def test_bytes_become_arrays_in_both_orders() -> None:
    values = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(pickles._array_of(values.tobytes(), float32(), (2, 3), "C"), values.reshape(2, 3))
    np.testing.assert_array_equal(
        pickles._array_of(values.astype(">f4").tobytes(), float32(">"), (2, 3), "F"), values.reshape(3, 2).T
    )
    assert pickles._array_of(b"", float32(), (0, 3), "C").shape == (0, 3)
    assert pickles._MADE["scalar"](float32(), values[2:3].tobytes()) == 2.0
    with pytest.raises(pickles._Refused, match="24 bytes"):
        pickles._array_of(values.tobytes(), float32(), (2, 4), "C")
    for shape in ((-2, -3), [2, 3], (2.0, 3), (1,) * 9, "23"):
        with pytest.raises(pickles._Refused):
            pickles._array_of(values.tobytes(), float32(), shape, "C")
    for data, kind in ((["a"], float32()), (values.tobytes(), np.dtype("f4")), (None, float32())):
        with pytest.raises(pickles._Refused):
            pickles._array_of(data, kind, (6,), "C")


def test_what_is_unfinished_is_never_given_out() -> None:
    assert type(pickles._tuple([1, "a"])) is tuple
    for unfinished in (
        pickles._Name("dtype"),
        float32(),
        pickles._Array(),
        pickles._MARK,
        pickles._tuple([pickles._Name("dtype")]),
    ):
        made = pickles._tuple([1, unfinished])
        assert isinstance(made, pickles._Arguments)
        for value in (unfinished, made):
            with pytest.raises(pickles._Refused):
                pickles._finished(value)
    whole = pickles._Array()
    whole.value = np.arange(3)
    assert pickles._tuple([whole])[0] is whole.value and pickles._finished(whole) is whole.value
