"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("smarthome_cs", data_dir=...)`: it no longer runs scripts by path.

Toyota Smarthome from its skeleton JSON files (V1.0 and V1.1). As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/smarthome", "smarthome_cs", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class Smarthome(SkeletonBuilder):
    """Toyota Smarthome, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("smarthome")
