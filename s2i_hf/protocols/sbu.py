"""SBU Kinect Interaction: five folds of the 21 pairs; four train, the fifth one tests."""

from __future__ import annotations

import re

from .protocol import Dataset, NameParser, SampleName

_NAME = re.compile(r"s(?P<first>\d{2})s(?P<second>\d{2})_(?P<action>\d{2})_\d{3}", re.ASCII)


def _read(match: re.Match[str]) -> SampleName:
    """`s01s02_01_001`: pair, action, sequence. The subject is the pair, 102, because both of them decide."""
    return SampleName(int(match["action"]), int(match["first"] + match["second"]))


NAMES: dict[str, NameParser] = {"sbu": (_NAME, _read)}

_SBU = Dataset(
    name="sbu", title="SBU Kinect Interaction", reader="sbu", layout="sbu_15", fps=15.0,
    homepage="https://www3.cs.stonybrook.edu/~kyun/research/kinect_interaction/", licence="research use, cite (not seen)",
    citation="Yun et al., Two-person Interaction Detection Using Body-Pose Features and Multiple Instance Learning, CVPR-W 2012",
    get_it="the archives of the 21 pairs (`clean`), s01s02.zip and so on", tree="s01s02/01/001/skeleton_pos.txt", size="282 clips",
)  # fmt: skip
DATASETS = (_SBU,)

# The folds of the authors, as public code of several groups has them alike
_FOLDS = tuple(
    frozenset(int(pair.replace("s", "")) for pair in fold.split())
    for fold in (
        "s01s02 s03s04 s05s02 s06s04",
        "s02s03 s02s07 s03s05 s05s03",
        "s01s03 s01s07 s07s01 s07s03",
        "s02s01 s02s06 s03s02 s03s06",
        "s04s02 s04s03 s04s06 s06s02 s06s03",
    )
)

PROTOCOLS = tuple(
    _SBU.protocol(f"fold{number}", range(1, 9), train=frozenset().union(*_FOLDS) - fold, test=fold)
    for number, fold in enumerate(_FOLDS, start=1)
)
