"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("ui_prmd_kinect_xsub", data_dir=...)`: it no longer runs scripts by path.

UI-PRMD: rehabilitation exercises by Kinect and by Vicon. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/ui_prmd", "ui_prmd_kinect_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class UiPrmd(SkeletonBuilder):
    """UI-PRMD, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("ui_prmd_kinect", "ui_prmd_vicon")
