"""Toyota Smarthome: cross-subject (31 classes) and two cross-view rules (19 classes). Reported is the mean class accuracy.

Camera 5 is for validation in the cross-view rules: it neither trains nor tests.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .protocol import Dataset, NameParser, Protocol, SampleName, numbers
from .resources import read_list

_NAME = re.compile(r"(?P<action>[A-Za-z.]+)_p(?P<subject>\d{2})_r\d{2}_v\d{2}_c(?P<camera>\d{2})", re.ASCII)


@lru_cache
def _actions() -> dict[str, int]:
    return {name: number for number, name in enumerate(read_list("smarthome_classes.txt"), start=1)}


def _read(match: re.Match[str]) -> SampleName:
    """`Cook.Cleandishes_p02_r00_v03_c03`; actions are numbered as in the list of classes, 0 is one that is not in it."""
    return SampleName(_actions().get(match["action"], 0), int(match["subject"]), int(match["camera"]))


NAMES: dict[str, NameParser] = {"smarthome": (_NAME, _read)}

_SMARTHOME = Dataset(
    name="smarthome", title="Toyota Smarthome (trimmed)", reader="smarthome", layout="lcrnet_13",
    homepage="https://project.inria.fr/toyotasmarthome/", licence="non-commercial research, on request (not seen)",
    citation="Das et al., Toyota Smarthome: Real-World Activities of Daily Living, ICCV 2019",
    get_it="the 3D skeletons of the trimmed version, V1.0 or V1.1", fps=None,
    tree="json/Cook.Cleandishes_p02_r00_v03_c03.json", size="16,115 clips of the 31 classes",
)  # fmt: skip
DATASETS = (_SMARTHOME,)

# The cross-view rules have fewer classes; the list is that of the authors' code.
_CROSS_VIEW = (
    "Cutbread Drink.Frombottle Drink.Fromcan Drink.Fromcup Drink.Fromglass Eat.Attable Eat.Snack Enter Getup Leave "
    "Pour.Frombottle Pour.Fromcan Readbook Sitdown Takepills Uselaptop Usetablet Usetelephone Walk"
)


def _protocol(rule: str, train: str, test: str, names: str, **fields: Any) -> Protocol:
    actions = [_actions()[name] for name in names.split()]
    return _SMARTHOME.protocol(
        rule, actions, train=numbers(train), test=numbers(test), metric="mean_class_accuracy", **fields
    )


# No counts: how many of the 16,115 clips have a skeleton differs between the versions of the download.
PROTOCOLS = (
    _protocol("cs", "3 4 6 7 9 12 13 15 17 19 25", "2 10 11 14 16 18 20", " ".join(_actions())),
    _protocol("cv1", "1", "2", _CROSS_VIEW, split_by="camera"),
    _protocol("cv2", "1 3 4 6 7", "2", _CROSS_VIEW, split_by="camera"),
)
