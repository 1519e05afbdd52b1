"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("irds_xsub", data_dir=...)`: it no longer runs scripts by path.

IntelliRehabDS: rehabilitation gestures by Kinect v2. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/irds", "irds_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class Irds(SkeletonBuilder):
    """IntelliRehabDS, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("irds")
