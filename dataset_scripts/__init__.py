"""One builder a data set, installed as `s2i_hf.dataset_scripts`; see README.md."""

from __future__ import annotations

# Module, named like the reader -> its class. The modules import `datasets`, so they are imported only when one is needed.
BUILDERS = {"nw_ucla": "NwUcla", "ntu_rgbd": "NtuRgbd"}
