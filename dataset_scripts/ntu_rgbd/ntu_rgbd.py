"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("ntu60_xsub", data_dir=...)`: it no longer runs scripts by path.

NTU RGB+D 60 and 120, and synthetic recordings in their format. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/ntu_rgbd", "ntu60_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class NtuRgbd(SkeletonBuilder):
    """NTU RGB+D 60 and 120, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("ntu_rgbd")
