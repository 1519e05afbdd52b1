"""Lines of numbers: those of megabytes of text, equal to float() of every token."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import given, settings, strategies as st

from s2i_hf.readers import ReadError, number_text

NUMBERS = st.one_of(
    st.floats(-1e4, 1e4).map("{:.6f}".format),
    st.floats(-1e38, 1e38).map(repr),
    st.sampled_from(["0", "-0.0", "7", "1e-05", "-2.5E+3", "+.5", "3.", "0." + "123456789" * 6, "00.50"]),
)


ROWS = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=1, max_size=9))


@settings(deadline=None)
@given(ROWS, st.sampled_from([" ", ", ", "\t", ","]), st.sampled_from(["\n", "\r\n", "\n "]))
def test_every_number_is_the_nearest_float32(rows: list[list[str]], blank: str, newline: str) -> None:
    data = newline.join(blank.join(row) for row in rows).encode()
    found = number_text.read_rows(data, "x.txt", len(rows[0]))
    expected = np.array([[float(token) for token in row] for row in rows]).astype(np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_blocks_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 2, (500, 7)).round(6)
    data = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values).encode()
    whole = number_text.read_rows(data, "x.txt", 7)
    for size in (1, 64, 1000, 5000):
        monkeypatch.setattr(number_text, "_BLOCK", size)
        np.testing.assert_array_equal(number_text.read_rows(data + b"\n\n", "x.txt", 7), whole)
    np.testing.assert_array_equal(whole, values.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:3], lines[3] + " 1.0", *lines[4:]], ["line 4 has 4 numbers", "expected 3"]),
        (lambda lines: [*lines[:3], "", *lines[3:]], ["line 4 has 0 numbers"]),
        (lambda lines: [*lines[:2], "1 nan 2", *lines[3:]], ["line 3", "value 2 is 'nan'"]),
        (lambda lines: [*lines[:2], "1 2 1e39", *lines[3:]], ["line 3", "1e39"]),
        (lambda lines: [*lines[:2], "1 2 1_0", *lines[3:]], ["line 3", "1_0"]),
        (lambda lines: [*lines[:2], "1 2 \x00", *lines[3:]], ["line 3"]),
        (lambda lines: [*lines[:2], "1 2 " + "9" * 80, *lines[3:]], ["line 3"]),
        (lambda lines: ["1 1 1 1", "1 1", *lines], ["line 1 has 4"]),
        (lambda lines: [" \n"], ["no number"]),
    ],
)
@pytest.mark.parametrize("block", [32, 1 << 20])
def test_what_is_wrong_is_named_by_its_line(
    change: Callable[[list[str]], list[str]], words: list[str], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_text, "_BLOCK", block)
    data = "\n".join(change([f"{line}.5 -0.25 3.125" for line in range(9)])).encode()
    with pytest.raises(ReadError) as caught:
        number_text.read_rows(data, "x.txt", 3)
    assert one_sentence(caught.value) and str(caught.value).startswith("x.txt: ")
    for word in words:
        assert word in str(caught.value)


def test_a_line_without_end_is_not_parsed() -> None:
    with pytest.raises(ReadError, match="too long"):
        number_text.read_rows(b"1 " * (2 << 20), "x.txt", 3)
