"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("florence3d_xsub", data_dir=...)`: it no longer runs scripts by path.

Florence 3D Actions, from its single file or one file a clip. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/florence3d", "florence3d_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class Florence3D(SkeletonBuilder):
    """Florence 3D Actions, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("florence3d")
