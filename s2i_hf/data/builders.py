"""What all builders in `dataset_scripts/` share: a `datasets` builder over the readers and protocols of one format.

A builder file names its reader and says where the data comes from; everything else is here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..protocols import DATASETS, PROTOCOLS, Protocol, Split, get_protocol
from ..readers import RawFile, ReadError
from ..readers.discovery import find_recordings
from ..readers.recordings import Recordings
from ..utils.text import printable
from .convert_report import kind_of
from .recorded_rows import recorded_rows
from .storage import row_features

logger = logging.getLogger(__name__)

_LEFT_OUT = "left_out.jsonl"


@dataclass
class SkeletonConfig(datasets.BuilderConfig):
    """Named like the protocol.

    Args:
        denoise: Choose the actors, where a format has more bodies than people; False: all tracked bodies.
        fingerprint: Hash of the raw files (`Recordings.fingerprint`), so that changed files are built anew.
    """

    denoise: bool = True
    fingerprint: str = ""


def configs_of(*readers: str) -> list[SkeletonConfig]:
    """One configuration for each protocol of these readers."""
    return [
        SkeletonConfig(name, "1.0.0", description=f"{protocol.dataset}, {protocol.rule}: {protocol.source}")
        for name, protocol in PROTOCOLS.items()
        if protocol.reader in readers
    ]


class SkeletonBuilder(datasets.GeneratorBasedBuilder):
    """Rows of the recordings in `data_dir`, split by the protocol; broken ones are logged and left out.

    Subclasses set `BUILDER_CONFIGS = configs_of(reader)`. Who has the recordings already sets `recordings`, before
    `download_and_prepare`.
    """

    BUILDER_CONFIG_CLASS = SkeletonConfig
    recordings: Recordings | None = None

    def _info(self) -> datasets.DatasetInfo:
        protocol = get_protocol(self.config.name)
        dataset = DATASETS[protocol.dataset]
        return datasets.DatasetInfo(
            description=f"Skeletons of {dataset.title} (layout {protocol.layout}) as flat joints with their shape (T, M, V, 3).",
            features=row_features(protocol.class_names),
            homepage=dataset.homepage,
            license=dataset.licence,
            citation=dataset.citation,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        recordings = self.recordings or find_recordings(self.config.name, self.config.data_dir)
        # The protocol travels too: where a file beside the data decides, it is not the one of PROTOCOLS
        return [
            datasets.SplitGenerator(split, {"files": files, "split": split, "protocol": recordings.protocol})
            for split, files in recordings.files.items()
        ]

    def _generate_examples(
        self, files: list[RawFile], split: Split, protocol: Protocol
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in files:
            for clip in recorded_rows(file, protocol, self.config.denoise):
                if isinstance(clip, ReadError):
                    self._leave_out(clip)
                elif clip[0] == split:
                    yield clip[1]["sample_id"], clip[1]

    def _leave_out(self, error: ReadError) -> None:
        """Write down what is left out beside the rows that `datasets` keeps, so that it can be told whenever they are opened."""
        if self.recordings is None:
            logger.warning("Left out: %s", error)
        with open(os.path.join(self._output_dir, _LEFT_OUT), "a", encoding="utf-8") as file:
            file.write(json.dumps([kind_of(error), printable(str(error))]) + "\n")

    def left_out(self) -> dict[str, list[str]]:
        """What was left out as the rows were made: "broken", "no clip" or "left out" -> sentences, sorted."""
        found: dict[str, list[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            lines = Path(self._output_dir, _LEFT_OUT).read_text(encoding="utf-8").splitlines()
            for kind, sentence in sorted(set(map(tuple, map(json.loads, lines)))):
                found.setdefault(kind, []).append(sentence)
        return found


class FolderSkeletons(SkeletonBuilder):
    """Custom data: its classes are known only when it was found, and come as `features=row_features(class_names)`."""

    BUILDER_CONFIGS: list[datasets.BuilderConfig] = []  # noqa: RUF012

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description="Skeletons as flat joints with their shape (T, M, V, 3).")
