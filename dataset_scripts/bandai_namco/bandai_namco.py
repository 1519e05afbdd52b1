"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("bandai_namco_by_index", data_dir=...)`: it no longer runs scripts by path.

Bandai-Namco-Research-Motiondataset from its BVH files. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/bandai_namco", "bandai_namco_by_index", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class BandaiNamco(SkeletonBuilder):
    """Bandai-Namco-Research-Motiondataset, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("bandai_namco")
