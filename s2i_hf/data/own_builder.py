"""A `datasets` builder over recordings of one's own, whose splits and classes are known only when they were found."""

from __future__ import annotations

from typing import Any

import datasets

from ..readers.recordings import Recordings
from .builders import SkeletonBuilder
from .storage import row_features


class OwnSkeletons(SkeletonBuilder):
    """Rows of `recordings`, an attribute to be set before `download_and_prepare`; made by `own_builder`."""

    BUILDER_CONFIGS: list[datasets.BuilderConfig] = []  # noqa: RUF012
    recordings: Recordings

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description="Skeletons as flat joints with their shape (T, M, V, 3).")

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        protocol = self.recordings.protocol
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": files, "split": split, "protocol": protocol})
            for split, files in self.recordings.files.items()
        ]


def own_builder(recordings: Recordings) -> Any:
    """A function that makes the builder, with the classes of these recordings in its schema."""

    def make(**options: Any) -> OwnSkeletons:
        builder = OwnSkeletons(features=row_features(recordings.protocol.class_names), **options)
        builder.recordings = recordings
        return builder

    return make
