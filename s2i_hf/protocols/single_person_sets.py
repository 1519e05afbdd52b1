"""Open sets of one person: UTD-MHAD, MSR-Action3D, UTKinect, UI-PRMD by Kinect and by Vicon, IntelliRehabDS.

All are split by subject, odd ones train and even ones test: the rule of the authors for UTD-MHAD, of most papers for
MSR-Action3D, and the usual one where nothing is fixed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache

from .protocol import Dataset, NameParser, Protocol, numbers
from .resources import read_list

_UI_PRMD_NAME = re.compile(r"m(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}")
NAMES: dict[str, NameParser] = {
    "utd_mhad": re.compile(r"a(?P<action>[1-9]\d?)_s(?P<subject>[1-9])_t\d"),
    "msr_action3d": re.compile(r"a(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}"),
    "utkinect": re.compile(r"(?:joints_)?(?P<video>s(?P<subject>\d{2})_e\d{2})(?:_a(?P<action>\d{2}))?"),
    "ui_prmd_kinect": _UI_PRMD_NAME,
    "ui_prmd_vicon": _UI_PRMD_NAME,
    "irds": re.compile(r"(?P<subject>\d{3})_\d{1,3}_(?P<action>\d)_\d{1,3}_\d_[a-zA-Z-]+"),
}

_ODD = frozenset(range(1, 1000, 2))
_UTD_MHAD = "Chen et al., UTD-MHAD: A Multimodal Dataset for Human Action Recognition, ICIP 2015"
_MSR = "Li et al., Action Recognition Based on a Bag of 3D Points, CVPR-W 2010"
_UTKINECT = "Xia et al., View Invariant Human Action Recognition Using Histograms of 3D Joints, CVPR-W 2012"
_UI_PRMD = "Vakanski et al., A Data Set of Human Body Movements for Physical Rehabilitation Exercises, Data 2018"
_IRDS = "Miron et al., IntelliRehabDS (IRDS): A Dataset of Physical Rehabilitation Movements, Data 2021"

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        name="utd_mhad", title="UTD-MHAD", reader="utd_mhad", layout="utd_mhad", citation=_UTD_MHAD,
        homepage="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html", licence="none stated; offered for download, cite (not seen)",
        get_it="the skeleton data (Skeleton.zip)", tree="Skeleton/a1_s1_t1_skeleton.mat",
        size="861 files, 15 MB",
    ),
    Dataset(
        name="msr_action3d", title="MSR-Action3D", reader="msr_action3d", layout="msr_action3d", citation=_MSR,
        homepage="https://sites.google.com/view/wanqingli/data-sets/msr-action3d", licence="research use (not seen)",
        get_it="the skeletons in real-world coordinates (MSRAction3DSkeletonReal3D)",
        tree="MSRAction3DSkeletonReal3D/a01_s01_e01_skeleton3D.txt", size="567 files, 18 MB", fps=15.0,
    ),
    Dataset(
        name="utkinect", title="UTKinect-Action3D", reader="utkinect", layout="kinect_v1", citation=_UTKINECT,
        homepage="https://cvrc.ece.utexas.edu/KinectDatasets/HOJ3D.html", licence="research use (not seen)",
        get_it="joints.zip and actionLabel.txt, beside each other", tree="joints/joints_s01_e01.txt", size="20 files, 10 MB",
        fps=None,
    ),
    Dataset(
        name="ui_prmd_kinect", title="UI-PRMD, Kinect", reader="ui_prmd_kinect", layout="ui_prmd_22", citation=_UI_PRMD,
        homepage="https://webpages.uidaho.edu/ui-prmd/", licence="Open Data Commons PDDL 1.0 (public domain)",
        get_it="Segmented Movements, positions and angles of the Kinect",
        tree="Segmented Movements/Kinect/Positions/m01_s01_e01_positions.txt, .../Kinect/Angles/m01_s01_e01_angles.txt",
        size="2,000 files, 25 MB as .txt.gz",
    ),
    Dataset(
        name="ui_prmd_vicon", title="UI-PRMD, Vicon", reader="ui_prmd_vicon", layout="vicon_39", citation=_UI_PRMD,
        homepage="https://webpages.uidaho.edu/ui-prmd/", licence="Open Data Commons PDDL 1.0 (public domain)",
        get_it="Segmented Movements, positions of the Vicon",
        tree="Segmented Movements/Vicon/Positions/m01_s01_e01_positions.txt", size="about 1,000 files, 90 MB as .txt.gz", fps=100.0,
    ),
    Dataset(
        name="irds", title="IntelliRehabDS", reader="irds", layout="kinect_v2", citation=_IRDS,
        homepage="https://zenodo.org/record/4610859", licence="CC BY 4.0 (not seen)",
        get_it="the raw data, not the simplified one", tree="RawData/101_18_0_1_1_stand.txt", size="2,589 files, about 350 MB",
    ),
)  # fmt: skip


@lru_cache
def _utd_mhad_names() -> Collection[str]:
    """The 861 recordings: four trials of each action and subject, but for three that were corrupted."""
    names = {
        f"a{action}_s{subject}_t{trial}" for action in range(1, 28) for subject in range(1, 9) for trial in range(1, 5)
    }
    return frozenset(names - {"a8_s1_t4", "a23_s6_t4", "a27_s8_t4"})


@lru_cache
def _msr_action3d_names() -> Collection[str]:
    """The 567 recordings."""
    names = {f"a{a:02}_s{s:02}_e{e:02}" for a in range(1, 21) for s in range(1, 11) for e in range(1, 4)}
    return frozenset(names - set(read_list("msr_action3d_unrecorded.txt")))


@lru_cache
def _utkinect_names() -> Collection[str]:
    """The 199 segments: ten actions in each of 20 recordings; the label of one is NaN."""
    names = {f"s{s:02}_e{e:02}_a{a:02}" for s in range(1, 11) for e in (1, 2) for a in range(1, 11)}
    return frozenset(names - {"s10_e02_a05"})


@lru_cache
def _ui_prmd_names() -> Collection[str]:
    """The 1,000 recordings: ten executions of ten exercises by ten subjects."""
    return frozenset(f"m{m:02}_s{s:02}_e{e:02}" for m in range(1, 11) for s in range(1, 11) for e in range(1, 11))


def _cross_subject(
    dataset: str,
    layout: str,
    actions: tuple[int, ...],
    source: str,
    counts: tuple[int, int] | None = None,
    samples: Callable[[], Collection[str]] | None = None,
    rule: str = "xsub",
    classes: str = "",
    missing: str | None = None,
) -> Protocol:
    return Protocol(
        dataset=dataset, rule=rule, reader=dataset, layout=layout, actions=actions,
        classes=classes or f"{dataset}_classes.txt", source=source, train=_ODD,
        expected_train=counts[0] if counts else None, expected_test=counts[1] if counts else None,
        samples=samples, missing=missing,
    )  # fmt: skip


def _msr_action3d(rule: str, actions: str, counts: tuple[int, int]) -> Protocol:
    return _cross_subject(
        "msr_action3d", "msr_action3d", tuple(sorted(numbers(actions))), _MSR, counts, _msr_action3d_names, rule,
        missing="msr_action3d_missing.txt",
    )  # fmt: skip


def _one_to(last: int) -> tuple[int, ...]:
    return tuple(range(1, last + 1))


PROTOCOLS: tuple[Protocol, ...] = (
    _cross_subject("utd_mhad", "utd_mhad", _one_to(27), _UTD_MHAD, (431, 430), _utd_mhad_names),
    _msr_action3d("xsub", "1-20", (290, 275)),
    _msr_action3d("as1", "2 3 5 6 10 13 18 20", (118, 106)),  # similar actions with little movement
    _msr_action3d("as2", "1 4 7 8 9 11 12 14", (118, 113)),
    _msr_action3d("as3", "6 14-20", (114, 112)),  # complex ones
    _cross_subject("utkinect", "kinect_v1", _one_to(10), _UTKINECT, (100, 99), _utkinect_names),
    _cross_subject(
        "ui_prmd_kinect", "ui_prmd_22", _one_to(10), _UI_PRMD, (500, 500), _ui_prmd_names, classes="ui_prmd_classes.txt"
    ),
    _cross_subject("ui_prmd_vicon", "vicon_39", _one_to(10), _UI_PRMD, classes="ui_prmd_classes.txt"),
    _cross_subject("irds", "kinect_v2", tuple(range(9)), _IRDS),
)
