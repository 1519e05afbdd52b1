"""What many tests rely on: that `refused` lets nothing pass but the sentence that was asked for."""

from __future__ import annotations

import pytest
from conftest import refused

SENTENCE = "--stride is 9 frames, longer than the --window of 8."


def test_the_sentence_that_was_asked_for_passes() -> None:
    with refused((OSError, ValueError), "--stride", "8", match="longer than"):
        raise ValueError(SENTENCE)


@pytest.mark.parametrize(
    ("text", "words", "match"),
    [
        (SENTENCE, ["--stride", "16"], None),
        (SENTENCE, ["--stride"], "shorter"),
        (SENTENCE.rstrip("."), [], None),
        (SENTENCE.replace(", ", ",\n"), [], None),
        ("No.", [], None),
    ],
)
def test_another_one_fails(text: str, words: list[str], match: str | None) -> None:
    with pytest.raises(AssertionError), refused(ValueError, *words, match=match):
        raise ValueError(text)


def test_no_error_fails() -> None:
    with pytest.raises(pytest.fail.Exception), refused(ValueError):
        pass
