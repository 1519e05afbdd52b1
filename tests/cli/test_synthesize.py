"""`s2i synthesize`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from s2i_hf.readers.benchmarks import ntu_rgbd
from s2i_hf.synthetic.people import generate


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()  # an empty folder is fine
    words = ["--subjects", "1", "--replications", "1", "--cameras", "1", "--seed", "4", "--actions", "kick", "clap"]
    assert run(capsys, "synthesize", "--output", tmp_path / "empty", *words)[::2] == (0, "")
    names = sorted(path.name for path in (tmp_path / "empty").iterdir())
    assert names == ["S001C001P001R001A005.skeleton", "S001C001P001R001A011.skeleton"]
    read = ntu_rgbd.read(tmp_path / "empty" / names[0])
    np.testing.assert_allclose(read.joints[0], generate("kick", 1, 1, 1, seed=4).joints[0], atol=6e-7)
    code, _, err = run(capsys, "synthesize", "--output", tmp_path / "empty", *words)
    assert code == 2 and "not an empty folder" in err
