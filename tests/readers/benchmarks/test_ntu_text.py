"""The three ways to read the text of `.skeleton` files: equal to each other and to float() of every token, bit by bit."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from skeleton_files import person, skeleton_text

from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import ntu_text as text_module
from s2i_hf.readers.benchmarks.ntu_text import BodyFrames, _count_ones_slowly, parse_lines, parse_numpy

ID = 72057594037931691  # a real tracking id has 17 digits
Fast = Callable[[bytes], BodyFrames | None]


@pytest.fixture(scope="module", params=["numpy", "numba"])
def fast(request: pytest.FixtureRequest) -> Fast:
    if request.param == "numpy":
        return parse_numpy
    pytest.importorskip("numba", reason="the extra [fast] is not installed")
    from s2i_hf.readers.benchmarks.ntu_text_numba import parse_numba

    return parse_numba


def recording(bodies: list[list[tuple[str, list[str]]]], newline: str = "\n", other: str = "2") -> bytes:
    """Text from the id and the 75 tokens of each body of each frame; `other` is every value that is not read."""
    lines = [str(len(bodies))]
    for frame in bodies:
        lines.append(str(len(frame)))
        for body_id, tokens in frame:
            lines += [f"{body_id}{9 * f' {other}'}", "25"]
            lines += [" ".join(tokens[at : at + 3]) + 9 * f" {other}" for at in range(0, 75, 3)]
    return (newline.join(lines) + newline).encode()


def equal(one: BodyFrames, other: BodyFrames) -> bool:
    assert one.joints.dtype == other.joints.dtype == np.float32 and one.body_id.dtype == np.int64
    return (
        one.num_frames == other.num_frames
        and one.frame.tolist() == other.frame.tolist()
        and one.body_id.tolist() == other.body_id.tolist()
        and np.array_equal(one.joints.view(np.uint32), other.joints.view(np.uint32))
    )


def bits(tokens: list[str]) -> np.ndarray:
    """(n,) uint32: what Python makes of each token, as float32."""
    return np.array([np.float32(float(token)) for token in tokens], dtype=np.float32).view(np.uint32)


@st.composite
def decimals(draw: st.DrawFn) -> str:
    """As the recorder writes them: a digit, a point, 1 to 17 digits."""
    digits = draw(st.text("0123456789", min_size=1, max_size=draw(st.sampled_from([7, 8, 9, 17]))))
    return f"{draw(st.sampled_from(['', '-']))}{draw(st.integers(0, 9))}.{digits}"


ODD = ["0", "-0", "5", "-0.0", "1e-05", "-4.2e-05", "1.2345678e-05", "5.", ".5", "+1.5", "12.25", "-345.6789", "0e0"]
ODD += ["1E2", "00.5", "1.000000059604644775390626", "0.1234567890123456", "-9.99999999999999", "9.007199254740993"]
FLOATS = st.floats(-19, 19, width=32) | st.floats(-(2.0**-20), 2.0**-20, width=32)
FORMS = st.sampled_from(["{:.7f}", "{:.7g}", "{:.9g}", "{:.12f}", "{:.17f}", "{:.17g}", "{:E}", "{:.1f}", "{:.0f}"])
TOKENS = decimals() | st.sampled_from(ODD) | st.builds(lambda form, value: form.format(value), FORMS, FLOATS)


@given(data=st.data(), tokens=st.lists(TOKENS, min_size=1, max_size=75), newline=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=80, deadline=None)
def test_joints_are_those_of_float_bit_by_bit(fast: Fast, data: st.DataObject, tokens: list[str], newline: str) -> None:
    tokens = [tokens[at % len(tokens)] for at in range(75)]
    text = recording([[], [(str(ID), tokens)], [(str(ID), tokens[::-1])]], newline)
    if data.draw(st.booleans()):
        text = text.removesuffix(newline.encode())
    expected = np.concatenate((bits(tokens), bits(tokens[::-1])))
    exact = parse_lines(text, "x")
    assert np.array_equal(exact.joints.view(np.uint32).reshape(-1), expected)
    found = fast(text)
    if max(map(len, tokens)) <= 20:  # what is longer may be left to the lines
        assert found is not None
    assert found is None or equal(found, exact)


@given(tokens=st.lists(decimals(), min_size=75, max_size=75))
@settings(max_examples=40, deadline=None)
def test_decimals_are_read_the_fast_way(fast: Fast, tokens: list[str]) -> None:
    found = fast(recording([[("1", tokens)]]))
    assert found is not None and np.array_equal(found.joints.view(np.uint32).reshape(-1), bits(tokens))


@given(ids=st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=9), data=st.data())
@settings(max_examples=40, deadline=None)
def test_body_ids_are_exact(fast: Fast, ids: list[int], data: st.DataObject) -> None:
    tokens = ["0.5"] * 75
    frames: list[list[tuple[str, list[str]]]] = [[(str(number), tokens)] for number in ids]
    frames[data.draw(st.integers(0, len(ids) - 1))] += [(str(ID), tokens), (str(ID + 1), tokens)]
    text = recording(frames, data.draw(st.sampled_from(["\n", "\r\n"])))
    found = fast(text)
    assert found is not None and equal(found, parse_lines(text, "x"))
    assert float(ID) == float(ID + 1) and {ID, ID + 1} <= set(found.body_id.tolist())


@pytest.mark.parametrize("number", ["-5", "+5", "1000000000000000000", str(2**63 - 1)])
def test_unusual_ids_are_left_to_the_lines(fast: Fast, number: str) -> None:
    text = recording([[(number, ["0.5"] * 75)]])
    assert fast(text) is None
    if number != "+5":
        assert parse_lines(text, "x").body_id.tolist() == [int(number)]


@pytest.mark.parametrize("size", [1, 2, 6, 7, 8, 9, 15, 16, 17, 30])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_values_that_are_not_read_may_be_anything(fast: Fast, size: int, newline: str) -> None:
    """Their widths move blanks and line ends to every place of a word; what they say does not matter."""
    rng = np.random.default_rng(size)
    for other in ("7" * size, "\xff" * size, "nan"[:size], "~" * size):
        text = recording([[("12", ["0.25"] * 75), ("3", ["-1.5"] * 75)]] * 2, newline, other)
        lines = text.decode().split(newline)
        for at in rng.integers(5, len(lines) - 1, 20):
            if lines[at].count(" ") == 11:
                lines[at] = " ".join([*lines[at].split()[:11], "9" * int(rng.integers(1, 20))])
        text = newline.join(lines).encode("latin-1")
        found = fast(text)
        assert found is not None and equal(found, parse_lines(text, "x"))


def damage(base: bytes, rng: np.random.Generator) -> bytes:
    tokens = b"nan inf - 1e400 9e37 1_0 .5 ++1 1.5.5 99999999999999999999 \xff \0 a".split(b" ")
    tokens += [b" ", b"\n", b"\r", b"\t", b"\x0b", b"\x0c", b"\r\n", b"  ", b"\x1c", b""]
    broken = bytearray(base)
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(len(broken) or 1))
        if rng.random() < 0.4:  # where it hurts: at a blank or a line break
            places = [place for place in range(at, min(at + 40, len(broken))) if broken[place] <= 32]
            at = places[0] if places else at
        kind = rng.random()
        if kind < 0.7:
            broken[at : at + int(rng.integers(3))] = tokens[rng.integers(len(tokens))]
        elif kind < 0.85:
            del broken[at : at + int(rng.choice([1, 30, 900]))]
        else:
            del broken[at + 1 :]
    return bytes(broken)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_fast_ways_agree_with_the_lines_on_broken_files(fast: Fast, newline: str) -> None:
    """Random damage: a fast way either says what the definition says, or leaves the file to it; nothing else is raised."""
    rng = np.random.default_rng(0)
    frames = [[(ID, person(0)), (ID + 1, person(1))], [], [(ID, person(2))]]
    base = skeleton_text(frames, newline)
    agreed = refused = 0
    for _ in range(1000):
        broken = damage(base, rng)
        found = fast(broken)
        try:
            exact = parse_lines(broken, "x")
        except ReadError as error:
            assert one_sentence(error)
            assert found is None
            refused += 1
            continue
        if found is not None:
            agreed += 1
            assert equal(found, exact)
    assert agreed > 50 and refused > 50


def test_every_truncation(fast: Fast) -> None:
    base = skeleton_text([[(ID, person(0))]], "\r\n")
    for size in range(len(base)):
        try:
            exact = parse_lines(base[:size], "x")
        except ReadError:
            assert fast(base[:size]) is None
        else:
            found = fast(base[:size])
            assert found is None or equal(found, exact)


@pytest.mark.parametrize("count", ["0", "1000001", "4294967296", "999999999999999999", "18446744073709551617"])
def test_huge_counts(fast: Fast, count: str) -> None:
    body = skeleton_text([[(ID, person(0))]]).split(b"\n", 1)[1]
    assert fast(count.encode() + b"\n" + body) is None
    assert fast(b"1\n" + count.encode() + body[1:]) is None
    many = b"1000001\n" + body + b"0\n" * 1_000_000  # as many frames as it says, and more than a recording has
    assert fast(many) is None
    with pytest.raises(ReadError, match="1000001 frames"):
        parse_lines(many, "x")


def test_bits_are_counted_as_numpy_does() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)
    words[:3] = 0, 2**64 - 1, 2**63
    assert _count_ones_slowly(words).tolist() == [bin(word).count("1") for word in words.tolist()]


# -- which way ---------------------------------------------------------------------------------------------------------

GOOD = skeleton_text([[(ID, person(0))]] * 2)


@pytest.fixture
def ways_taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the ways, as they are taken; none has read anything yet."""
    taken: list[str] = []

    def spy(name: str) -> Callable[..., BodyFrames]:
        def parse(data: bytes, file: str = "x") -> BodyFrames:
            taken.append(name)
            return parse_lines(data, file)

        return parse

    monkeypatch.delenv(text_module.WAY_VARIABLE, raising=False)
    monkeypatch.setattr(text_module, "_bytes_parsed", 0)
    monkeypatch.setattr(text_module, "parse_numpy", spy("numpy"))
    monkeypatch.setattr(text_module, "parse_lines", spy("lines"))
    monkeypatch.setattr(text_module, "_numba_parser", lambda: (spy("numba"), ""))
    return taken


def test_numba_is_loaded_once_it_pays(ways_taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_NUMBA_PAYS", 3 * len(GOOD))
    for _ in range(5):
        text_module.parse_text(GOOD, "x")
    assert ways_taken == ["numpy"] * 3 + ["numba"] * 2


def test_a_way_is_chosen_by_argument_or_environment(ways_taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("lines", "numpy", "numba"):
        text_module.parse_text(GOOD, "x", way)  # type: ignore[arg-type]
        monkeypatch.setenv(text_module.WAY_VARIABLE, way)
        text_module.parse_text(GOOD, "x")
    assert ways_taken == ["lines", "lines", "numpy", "numpy", "numba", "numba"]
    text_module.parse_text(GOOD, "x", "lines")
    assert ways_taken[-1] == "lines"  # the argument counts before the environment


@pytest.mark.parametrize("by_environment", [True, False])
def test_an_unknown_way_is_named(by_environment: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_environment:
        monkeypatch.setenv(text_module.WAY_VARIABLE, "cuda")
    with refused(ValueError, match=r"'cuda'.*auto, numba, numpy, lines"):
        text_module.parse_text(GOOD, "x", "auto" if by_environment else "cuda")  # type: ignore[arg-type]


def test_without_numba_all_goes_on_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(text_module.WAY_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "s2i_hf.readers.benchmarks.ntu_text_numba", raising=False)
    monkeypatch.setattr(text_module, "_NUMBA_PAYS", 0)
    text_module._numba_parser.cache_clear()
    try:
        assert equal(text_module.parse_text(GOOD, "x"), parse_lines(GOOD, "x"))
        with refused(ImportError, match=r"pip install 's2i-hf\[fast\]'"):
            text_module.parse_text(GOOD, "x", "numba")
    finally:
        text_module._numba_parser.cache_clear()


@pytest.mark.parametrize("way", ["auto", "numpy", "numba", "lines"])
def test_what_is_broken_is_said_alike_in_all_ways(way: text_module.Way) -> None:
    if way == "numba":
        pytest.importorskip("numba", reason="the extra [fast] is not installed")
    broken = GOOD.replace(b" -0.2059419 ", b" ", 1)
    with pytest.raises(ReadError, match=r"x: line 5 \(frame 1 of 2\): joint 1 has 11 values; expected 12."):
        text_module.parse_text(broken, "x", way)
