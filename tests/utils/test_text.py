from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from s2i_hf.utils.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [("clip\x1b[31m0", "clip?[31m0"), ("caf\udce9", "caf?"), ("caf\u00e9 cafe\u0301 走", "caf\u00e9 cafe\u0301 走"), ("a\nb\t", "a?b?")],
)  # fmt: skip
def test_what_no_terminal_may_show(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    assert printable(text).encode().decode().isprintable() and len(printable(text)) == len(text)
