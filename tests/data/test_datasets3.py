"""The builders as loading scripts, which only `datasets` before 4 runs: `make test-datasets3` makes an environment for it."""

from __future__ import annotations

import logging
from pathlib import Path

import datasets
import numpy as np
import pytest
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf import dataset_scripts
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers import ReadError
from s2i_hf.readers.discovery import find_recordings, read_file

pytestmark = pytest.mark.skipif(
    int(datasets.__version__.split(".")[0]) > 3, reason="datasets 4 and newer run no scripts; see `make test-datasets3`"
)
SCRIPTS = Path(__file__).parents[2] / "dataset_scripts"
# Open sets and where they lie in S2I_REAL_DATA
REAL = {
    "nw_ucla_xview": "NW-UCLA",
    "utd_mhad_xsub": "UTD-MHAD",
    "msr_action3d_xsub": "MSRAction3D",
    "utkinect_xsub": "UTKinect",
    "ui_prmd_vicon_xsub": "UI-PRMD",
    "irds_xsub": "IRDS",
    "bandai_namco_by_index": "Bandai-Namco",
}


def load(name: str, data_dir: Path, cache: Path) -> datasets.DatasetDict:
    script, _ = dataset_scripts.BUILDERS[PROTOCOLS[name].reader]
    return datasets.load_dataset(
        str(SCRIPTS / script), name, data_dir=str(data_dir), cache_dir=str(cache), trust_remote_code=True
    )


def check(data: datasets.DatasetDict, name: str, data_dir: Path) -> None:
    """The script gives the rows that the readers do."""
    recordings = find_recordings(name, data_dir)
    assert set(data) == set(recordings.protocol.splits)
    for split, files in recordings.files.items():
        clips = [clip for file in files for clip in read_file(file, recordings.protocol)]
        sequences = [clip.sequence for clip in clips if not isinstance(clip, ReadError) and clip.split == split]
        rows = data[split].with_format("numpy")
        assert rows["sample_id"].tolist() == [sequence.sample_id for sequence in sequences]
        for row, sequence in zip(rows, sequences, strict=True):
            assert row["label"] == sequence.label and row["layout"] == sequence.layout.name
            np.testing.assert_array_equal(row["joints"].reshape(row["shape"]), sequence.joints)
        assert rows.features["label"].names == list(recordings.protocol.class_names)


def test_ntu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for seed, name in enumerate(("S001C001P001R001A001", "S001C001P003R001A060", "S001C002P008R002A002")):
        (folder / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(seed))]] * 3))
    (folder / "S001C001P001R001A002.skeleton").write_text("broken")
    with caplog.at_level(logging.WARNING):
        check(load("ntu60_xsub", folder, tmp_path / "cache"), "ntu60_xsub", folder)
    check(load("ntu60_xview", folder, tmp_path / "cache"), "ntu60_xview", folder)


def test_nw_ucla(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "raw", ["a01_s01_e00_v01", "a08_s02_e00_v02", "a02_s01_e00_v03"])
    check(load("nw_ucla_xview", tmp_path / "raw", tmp_path / "cache"), "nw_ucla_xview", tmp_path / "raw")


def test_every_script_is_found_and_has_its_protocols() -> None:
    for name, protocol in PROTOCOLS.items():
        script, _ = dataset_scripts.BUILDERS[protocol.reader]
        builder = datasets.load_dataset_builder(str(SCRIPTS / script), name, data_dir=".", trust_remote_code=True)
        assert builder.info.features["label"].names == list(protocol.class_names)


@pytest.mark.parametrize("name", REAL)
def test_real_data(name: str, real_data: Path, tmp_path: Path) -> None:
    check(load(name, real_data / REAL[name], tmp_path), name, real_data / REAL[name])
