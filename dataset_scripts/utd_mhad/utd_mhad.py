"""With `datasets` 4 or newer use `s2i_hf.load_skeletons("utd_mhad_xsub", data_dir=...)`: it no longer runs scripts by path.

UTD-MHAD from its skeleton `.mat` files. As a script, under `datasets` 3.6 with s2i-hf installed:
`load_dataset("dataset_scripts/utd_mhad", "utd_mhad_xsub", data_dir=..., trust_remote_code=True)`.
"""

from __future__ import annotations

from s2i_hf.data.builders import SkeletonBuilder, configs_of


class UtdMhad(SkeletonBuilder):
    """UTD-MHAD, one configuration a protocol."""

    BUILDER_CONFIGS = configs_of("utd_mhad")
