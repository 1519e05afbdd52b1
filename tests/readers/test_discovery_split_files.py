from __future__ import annotations

import pytest
from conftest import one_sentence
from hypothesis import given
from hypothesis import strategies as st
from paper_files import split_text

from s2i_hf.readers import ReadError
from s2i_hf.readers.discovery import read_split_file

TRAIN, TEST = ["0002-L", "0002-M", "0003-R"], ["0291-L", "0295-M"]


@pytest.mark.parametrize(
    "text",
    [
        split_text(TRAIN, TEST),
        split_text(TRAIN, TEST).replace("\n", "\r\n"),
        "Training videos:\n0002-L,0002-M\n0003-R\n\nValidation videos:\n0291-L\n0295-M",
        "Training videos: 0002-L, 0002-M, 0003-R\nTest videos: 0291-L, 0295-M",
        "train\n0002-L.txt, 0002-M.txt, 0003-R.txt\ntest\n0291-L.txt, 0295-M.txt\n",
        split_text(TEST, TRAIN).replace("Training", "X").replace("Validataion", "Training").replace("X", "Validation"),
    ],
)
def test_lists_of_videos(text: str) -> None:
    assert read_split_file(text.encode(), "cross_subject.txt") == (frozenset(TRAIN), frozenset(TEST))


def test_names_of_part_two() -> None:
    assert read_split_file(split_text(["A01N01-L"], ["A01N02-R"]).encode(), "x")[1] == {"A01N02-R"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0002-L, 0002-M\n", ["line 1", "before any header"]),
        ("Training videos:\n0002-L\n", ["no video that tests"]),
        ("Validation videos:\n0002-L\n", ["no video that trains"]),
        (split_text(TRAIN, ["0002-M"]), ["0002-M", "both"]),
        ("Training videos:\n0002-L, 17\n", ["line 2", "header"]),
        ("Training videos: 0002-L, 0017\n", ["line 1", "0017"]),
        ("1,2,3,4\n", ["line 1"]),
        ("", ["no video"]),
        ("Training videos:\n0002-L\u00fc\n", ["ASCII"]),
        (split_text(TRAIN, TEST) * 20_000, ["large"]),
    ],
)
def test_other_files_are_one_clear_sentence(text: str, words: list[str]) -> None:
    with pytest.raises(ReadError) as caught:
        read_split_file(text.encode(), "cross_subject.txt")
    assert one_sentence(caught.value) and "cross_subject.txt" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@given(st.one_of(st.binary(max_size=300), st.integers(0, 200).map(lambda n: split_text(TRAIN, TEST).encode()[:n])))
def test_whatever_is_in_it_is_read_or_named(data: bytes) -> None:
    try:
        train, test = read_split_file(data, "cross_view.txt")
    except ReadError as error:
        assert "cross_view.txt" in str(error)
    else:
        assert train and test and not train & test
