"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("sbu_fold1", data_dir=...)`: it no longer runs scripts by path.

SBU Kinect Interaction: two people, from `skeleton_pos.txt` files. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/sbu", "sbu_fold1", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class Sbu(SkeletonBuilder):
    """SBU Kinect Interaction, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("sbu")
