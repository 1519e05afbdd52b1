"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("pku1_xsub", data_dir=...)`: it no longer runs scripts by path.

PKU-MMD I and II: clips cut from untrimmed videos by their label files. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/pku_mmd", "pku1_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class PkuMmd(SkeletonBuilder):
    """PKU-MMD I and II, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("pku_mmd")
