"""NW-UCLA Multiview Action 3D from its JSON files (`all_sqe`).

With s2i_hf, `load_skeletons("nw_ucla_xview", data_dir=...)`. As a script, in `datasets` before 4:
`load_dataset("nw_ucla.py", "nw_ucla_xview", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import datasets

from s2i_hf.protocols import PROTOCOLS, get_protocol
from s2i_hf.readers import ReadError
from s2i_hf.readers.recordings import find_recordings, read_recording
from s2i_hf.storage import row_features

logger = logging.getLogger(__name__)


@dataclass
class NwUclaConfig(datasets.BuilderConfig):
    """Named like the protocol.

    Args:
        denoise: Without effect here: the recordings hold one person each.
        fingerprint: Hash of the raw files (`Recordings.fingerprint`), so that changed files are built anew.
    """

    denoise: bool = True
    fingerprint: str = ""


class NwUcla(datasets.GeneratorBasedBuilder):
    """Rows of the recordings in `data_dir`, split by the protocol; broken ones are logged and left out."""

    BUILDER_CONFIG_CLASS = NwUclaConfig
    BUILDER_CONFIGS = [  # noqa: RUF012
        NwUclaConfig(name=name, version="1.0.0") for name, protocol in PROTOCOLS.items() if protocol.reader == "nw_ucla"
    ]

    def _info(self) -> datasets.DatasetInfo:
        protocol = get_protocol(self.config.name)
        return datasets.DatasetInfo(
            description="Skeletons of NW-UCLA (Kinect v1, 20 joints, metres) as flat joints with their shape (T, M, V, 3).",
            features=row_features(protocol.class_names),
            homepage="https://wangjiangb.github.io/my_data.html",
            citation=protocol.source,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        recordings = find_recordings(self.config.name, self.config.data_dir)
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": [str(path) for path in files]})
            for split, files in recordings.files.items()
        ]

    def _generate_examples(self, files: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        protocol = get_protocol(self.config.name)
        for path in files:
            try:
                sequence = read_recording(path, protocol, self.config.denoise)
            except ReadError as error:
                logger.warning("Left out: %s", error)
            else:
                yield sequence.sample_id, sequence.to_row()
