"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("nw_ucla_xview", data_dir=...)`: it no longer runs scripts by path.

NW-UCLA Multiview Action 3D from its JSON files (`all_sqe`). As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/nw_ucla", "nw_ucla_xview", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class NwUcla(SkeletonBuilder):
    """NW-UCLA Multiview Action 3D, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("nw_ucla")
