"""What names a file; the rest of `recordings` is tested with `discovery`, which fills it in."""

from __future__ import annotations

from pathlib import Path

from s2i_hf.protocols.folder import FolderProtocol
from s2i_hf.readers import RawFile
from s2i_hf.readers.recordings import file_id


def test_ids_of_files_are_their_paths() -> None:
    root, protocol = Path("/data/clips"), FolderProtocol(root="/data/clips")
    names = {
        RawFile(root / "wave" / "clip.v2.npy"): "wave/clip.v2",
        RawFile(root / "clip.csv.gz"): "clip",
        RawFile(root / "archive.zip", "train/wave/clip.bvh"): "train/wave/clip",
    }
    assert {file: file_id(protocol, file) for file in names} == names
    alone = FolderProtocol(root="/data/NTU60_CS.npz")
    assert file_id(alone, RawFile(Path("/data/NTU60_CS.npz"))) == "NTU60_CS"
