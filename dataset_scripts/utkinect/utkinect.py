"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("utkinect_xsub", data_dir=...)`: it no longer runs scripts by path.

UTKinect-Action3D: clips cut from untrimmed recordings by `actionLabel.txt`. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/utkinect", "utkinect_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class UTKinect(SkeletonBuilder):
    """UTKinect-Action3D, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("utkinect")
