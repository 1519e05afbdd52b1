"""One builder a data set, installed as `s2i_hf.dataset_scripts`; see README.md."""

from __future__ import annotations

# Reader -> module here and its class. The modules import `datasets`, so they are imported only when one is needed.
BUILDERS = {
    "ntu_rgbd": ("ntu_rgbd", "NtuRgbd"),
    "nw_ucla": ("nw_ucla", "NwUcla"),
    "pku_mmd": ("pku_mmd", "PkuMmd"),
    "smarthome": ("smarthome", "Smarthome"),
    "utd_mhad": ("utd_mhad", "UtdMhad"),
    "msr_action3d": ("msr_action3d", "MsrAction3D"),
    "utkinect": ("utkinect", "UTKinect"),
    "ui_prmd_kinect": ("ui_prmd", "UiPrmd"),
    "ui_prmd_vicon": ("ui_prmd", "UiPrmd"),
    "irds": ("irds", "Irds"),
    "florence3d": ("florence3d", "Florence3D"),
    "sbu": ("sbu", "Sbu"),
    "bandai_namco": ("bandai_namco", "BandaiNamco"),
}
