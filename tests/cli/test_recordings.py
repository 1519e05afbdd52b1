"""Flags for what recordings of general formats do not say themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from own_files import joints

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.processing.layouts import LAYOUTS


def test_the_order_of_axes_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = joints(8, 2, LAYOUTS["kinect_v2"]).astype(np.float32)
    for split in ("train", "test"):
        (tmp_path / "raw" / split / "walk").mkdir(parents=True)
        np.save(tmp_path / "raw" / split / "walk" / f"{split}.npy", truth.swapaxes(0, 1))
    flags = ("--layout", "kinect_v2", "--any-size")
    convert = ("convert", "folder", "--data-dir", tmp_path / "raw", *flags, "--format", "npz")
    code, out, err = run(capsys, *convert, "--output", tmp_path / "doubt")
    assert "'TMVC'" in out + err and "'MTVC'" in out + err
    assert run(capsys, *convert, "--output", tmp_path / "out", "--axes", "MTVC")[0] == 0
    rows = as_rows(load_skeletons(str(tmp_path / "out"))["train"])
    np.testing.assert_array_equal(rows[0]["joints"], truth)
    data = load_skeletons(
        "folder",
        data_dir=tmp_path / "raw",
        layout="kinect_v2",
        any_size=True,
        axes="MTVC",
        cache_dir=tmp_path / "cache",
    )
    np.testing.assert_array_equal(as_rows(data["test"])[0]["joints"], truth)
    code, out, err = run(capsys, "inspect", tmp_path / "raw", *flags, "--axes", "MTVC")
    assert code == 0 and "--axes MTVC" in out
