"""What only the way with numba can do wrong: compile where nothing can be kept, or work and give nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from skeleton_files import person, skeleton_text

from s2i_hf.readers.benchmarks import ntu_text as text_module
from s2i_hf.readers.benchmarks.ntu_text import parse_lines

numba = pytest.importorskip("numba", reason="the extra [fast] is not installed")

from s2i_hf.readers.benchmarks import ntu_text_numba as skeleton_numba  # noqa: E402

TEXT = skeleton_text([[(5, person(0)), (6, person(1))]] * 4, "\r\n")
USE = """
import sys
from s2i_hf.readers.benchmarks.ntu_text import parse_text
print(parse_text(sys.stdin.buffer.read(), "x", "numba").joints.sum())
"""


def test_without_a_folder_for_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def njit(cache: bool = False, **options: object) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(skeleton_numba, "njit", njit)
    assert skeleton_numba._jit(lambda number: 2 * number)(21) == 42
    assert asked == [True, False]


def test_compiled_code_is_kept(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", USE], input=TEXT, env=environment, capture_output=True, check=True)
    assert any(path.name.startswith("ntu_text_numba._scan") for path in tmp_path.rglob("*.nbc"))


def test_a_numba_that_compiles_nonsense_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    text_module._numba_parser.cache_clear()
    monkeypatch.delenv(text_module.WAY_VARIABLE, raising=False)
    monkeypatch.setattr(text_module, "_NUMBA_PAYS", 0)

    def broken(*_: object) -> tuple[int, int, int]:
        raise TypeError("no matching signature")

    for scan in (broken, lambda *_: (0, -1, 0)):
        monkeypatch.setattr(skeleton_numba, "_scan", scan)
        try:
            assert text_module.parse_text(TEXT, "x").body_id.tolist() == [5, 6] * 4
            with pytest.raises(ImportError, match=r"with numba: (TypeError|RuntimeError)"):
                text_module.parse_text(TEXT, "x", "numba")
        finally:
            text_module._numba_parser.cache_clear()


def test_threads_read_at_the_same_time() -> None:
    texts = [skeleton_text([[(number, person(number))]] * 30) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(skeleton_numba.parse_numba, texts * 8))
    for number, bodies in enumerate(found):
        assert bodies is not None
        np.testing.assert_array_equal(bodies.joints[0], parse_lines(texts[number % 8], "x").joints[0])
        assert set(bodies.body_id.tolist()) == {number % 8}


def test_more_odd_numbers_than_there_is_room_for() -> None:
    rows = [[(1, np.full((25, 3), 1.5))]] * 60
    for number in ("{:e}", "{:.3f}"):
        text = skeleton_text(rows, number=number)
        found = skeleton_numba.parse_numba(text)
        assert (found is None) == (number == "{:e}")  # 4,500 with an exponent
        assert text_module.parse_text(text, "x", "numba").joints.shape == (60, 25, 3)
