from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from s2i_hf.utils.text import duration, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [("clip\x1b[31m0", "clip?[31m0"), ("caf\udce9", "caf?"), ("caf\u00e9 cafe\u0301 走", "caf\u00e9 cafe\u0301 走"), ("a\nb\t", "a?b?")],
)  # fmt: skip
def test_what_no_terminal_may_show(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    assert printable(text).encode().decode().isprintable() and len(printable(text)) == len(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (89.4, "89 s"), (90, "2 min"), (3540, "59 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min"),
     (90000, "1 day 1 h"), (190000, "2 days 4 h")],
)  # fmt: skip
def test_a_length_of_time_in_the_units_that_matter(seconds: float, words: str) -> None:
    assert duration(seconds) == words
