"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("msr_action3d_xsub", data_dir=...)`: it no longer runs scripts by path.

MSR-Action3D from its real-world skeleton files (`skeleton3D.txt`). As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/msr_action3d", "msr_action3d_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class MsrAction3D(SkeletonBuilder):
    """MSR-Action3D, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("msr_action3d")
