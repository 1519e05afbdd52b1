"""Open sets of one person: UTD-MHAD, MSR-Action3D, UTKinect, UI-PRMD by Kinect and by Vicon, IntelliRehabDS, Florence 3D.

All are split by subject, odd ones train and even ones test: the rule of the authors for UTD-MHAD, of most papers for
MSR-Action3D, and the usual one where nothing is fixed. For Florence 3D its authors suggest that all actors but one train.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from itertools import product

from .protocol import Dataset, NameParser, Protocol, SampleName, numbers
from .resources import read_list

NUM_FLORENCE_ACTIONS = 9
_FLORENCE_NAME = re.compile(
    r"v\d{3,4}_s(?P<subject>\d{2})_a(?P<action>\d{2})|a(?P<action_first>\d{2})_s(?P<subject_next>\d{2})_e\d{2}"
    r"|(?i:florence.*worldcoordinates)",
    re.ASCII,
)


def _read_florence(match: re.Match[str]) -> SampleName:
    """`v001_s01_a01`, a clip of the file of all clips; `a01_s01_e01`, a file of its own; else the file of all clips."""
    action, subject = match["action"] or match["action_first"], match["subject"] or match["subject_next"]
    return SampleName(int(action or -1), int(subject or -1))


_UI_PRMD_NAME = re.compile(r"m(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}")
NAMES: dict[str, NameParser] = {
    "utd_mhad": re.compile(r"a(?P<action>[1-9]\d?)_s(?P<subject>[1-9])_t\d"),
    "msr_action3d": re.compile(r"a(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}"),
    "utkinect": re.compile(r"(?:joints_)?(?P<video>s(?P<subject>\d{2})_e\d{2})(?:_a(?P<action>\d{2}))?"),
    "ui_prmd_kinect": _UI_PRMD_NAME,
    "ui_prmd_vicon": _UI_PRMD_NAME,
    "irds": re.compile(r"(?P<subject>\d{3})_\d{1,3}_(?P<action>\d)_\d{1,3}_\d_[a-zA-Z-]+"),
    "florence3d": (_FLORENCE_NAME, _read_florence),
}

UTD_MHAD = Dataset(
    name="utd_mhad", title="UTD-MHAD", reader="utd_mhad", layout="utd_mhad",
    citation="Chen et al., UTD-MHAD: A Multimodal Dataset for Human Action Recognition, ICIP 2015",
    homepage="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html", licence="none stated; offered for download, cite (not seen)",
    get_it="the skeleton data (Skeleton.zip)", tree="Skeleton/a1_s1_t1_skeleton.mat", size="861 files, 15 MB",
)  # fmt: skip
MSR_ACTION3D = Dataset(
    name="msr_action3d", title="MSR-Action3D", reader="msr_action3d", layout="msr_action3d", fps=15.0,
    citation="Li et al., Action Recognition Based on a Bag of 3D Points, CVPR-W 2010",
    homepage="https://sites.google.com/view/wanqingli/data-sets/msr-action3d", licence="research use (not seen)",
    get_it="the skeletons in real-world coordinates (MSRAction3DSkeletonReal3D)",
    tree="MSRAction3DSkeletonReal3D/a01_s01_e01_skeleton3D.txt", size="567 files, 18 MB",
)  # fmt: skip
UTKINECT = Dataset(
    name="utkinect", title="UTKinect-Action3D", reader="utkinect", layout="kinect_v1", fps=None,
    citation="Xia et al., View Invariant Human Action Recognition Using Histograms of 3D Joints, CVPR-W 2012",
    homepage="https://cvrc.ece.utexas.edu/KinectDatasets/HOJ3D.html", licence="research use (not seen)",
    get_it="joints.zip and actionLabel.txt, beside each other", tree="joints/joints_s01_e01.txt", size="20 files, 10 MB",
)  # fmt: skip
UI_PRMD_KINECT = Dataset(
    name="ui_prmd_kinect", title="UI-PRMD, Kinect", reader="ui_prmd_kinect", layout="ui_prmd_22",
    citation="Vakanski et al., A Data Set of Human Body Movements for Physical Rehabilitation Exercises, Data 2018",
    homepage="https://webpages.uidaho.edu/ui-prmd/", licence="Open Data Commons PDDL 1.0 (public domain)",
    get_it="Segmented Movements, positions and angles of the Kinect",
    tree="Segmented Movements/Kinect/Positions/m01_s01_e01_positions.txt, .../Kinect/Angles/m01_s01_e01_angles.txt",
    size="2,000 files, 25 MB as .txt.gz",
)  # fmt: skip
UI_PRMD_VICON = replace(
    UI_PRMD_KINECT, name="ui_prmd_vicon", title="UI-PRMD, Vicon", reader="ui_prmd_vicon", layout="vicon_39", fps=100.0,
    get_it="Segmented Movements, positions of the Vicon", size="about 1,000 files, 90 MB as .txt.gz",
    tree="Segmented Movements/Vicon/Positions/m01_s01_e01_positions.txt",
)  # fmt: skip
IRDS = Dataset(
    name="irds", title="IntelliRehabDS", reader="irds", layout="kinect_v2",
    citation="Miron et al., IntelliRehabDS (IRDS): A Dataset of Physical Rehabilitation Movements, Data 2021",
    homepage="https://zenodo.org/record/4610859", licence="CC BY 4.0 (not seen)", get_it="the raw data, not the simplified one",
    tree="RawData/101_18_0_1_1_stand.txt", size="2,589 files, about 350 MB",
)  # fmt: skip
FLORENCE3D = Dataset(
    name="florence3d", title="Florence 3D Actions", reader="florence3d", layout="florence_15", fps=None,
    homepage="https://www.micc.unifi.it/resources/datasets/florence-3d-actions-dataset/", licence="research use, cite (not seen)",
    citation="Seidenari et al., Recognizing Actions from Depth Cameras as Weakly Aligned Multi-Part Bag-of-Poses, CVPR-W 2013",
    get_it="`Florence_dataset_WorldCoordinates.txt`", tree="Florence_3d_actions/Florence_dataset_WorldCoordinates.txt",
    size="215 clips in one file",
)  # fmt: skip
DATASETS = (UTD_MHAD, MSR_ACTION3D, UTKINECT, UI_PRMD_KINECT, UI_PRMD_VICON, IRDS, FLORENCE3D)


def _names(form: str, *counts: int) -> frozenset[str]:
    """Names with every combination of numbers from 1 to each of `counts`."""
    return frozenset(form.format(*chosen) for chosen in product(*(range(1, count + 1) for count in counts)))


def _utd_mhad_names() -> Collection[str]:
    """The 861 recordings: four trials of each action and subject, but for three that were corrupted."""
    return _names("a{}_s{}_t{}", 27, 8, 4) - {"a8_s1_t4", "a23_s6_t4", "a27_s8_t4"}


def _msr_action3d_names() -> Collection[str]:
    """The 567 recordings."""
    return _names("a{:02}_s{:02}_e{:02}", 20, 10, 3) - set(read_list("msr_action3d_unrecorded.txt"))


def _utkinect_names() -> Collection[str]:
    """The 199 segments: ten actions in each of 20 recordings; the label of one is NaN."""
    return _names("s{:02}_e{:02}_a{:02}", 10, 2, 10) - {"s10_e02_a05"}


_UI_PRMD_NAMES = partial(_names, "m{:02}_s{:02}_e{:02}", 10, 10, 10)
_ODD = frozenset(range(1, 1000, 2))
# Of Florence 3D; how many of its 215 clips each did is written nowhere that was at hand
_ACTORS = frozenset(range(1, 11))
_FLORENCE_ACTIONS = range(1, NUM_FLORENCE_ACTIONS + 1)


def _msr_action3d(rule: str, actions: str, counts: tuple[int, int]) -> Protocol:
    return MSR_ACTION3D.protocol(
        rule, sorted(numbers(actions)), train=_ODD, expected_clips=counts, samples=_msr_action3d_names, missing="msr_action3d_missing.txt",
    )  # fmt: skip


PROTOCOLS: tuple[Protocol, ...] = (
    UTD_MHAD.protocol("xsub", range(1, 28), train=_ODD, expected_clips=(431, 430), samples=_utd_mhad_names),
    _msr_action3d("xsub", "1-20", (290, 275)),
    _msr_action3d("as1", "2 3 5 6 10 13 18 20", (118, 106)),  # similar actions with little movement
    _msr_action3d("as2", "1 4 7 8 9 11 12 14", (118, 113)),
    _msr_action3d("as3", "6 14-20", (114, 112)),  # complex ones
    UTKINECT.protocol("xsub", range(1, 11), train=_ODD, expected_clips=(100, 99), samples=_utkinect_names),
    UI_PRMD_KINECT.protocol(
        "xsub", range(1, 11), "ui_prmd_classes.txt", train=_ODD, expected_clips=(500, 500), samples=_UI_PRMD_NAMES
    ),
    UI_PRMD_VICON.protocol("xsub", range(1, 11), "ui_prmd_classes.txt", train=_ODD),
    IRDS.protocol("xsub", range(9), train=_ODD),
    FLORENCE3D.protocol("xsub", _FLORENCE_ACTIONS, train=_ACTORS & _ODD, test=_ACTORS - _ODD),
    *(
        FLORENCE3D.protocol(f"actor{actor}", _FLORENCE_ACTIONS, train=_ACTORS - {actor}, test=frozenset({actor}))
        for actor in sorted(_ACTORS)
    ),
)
