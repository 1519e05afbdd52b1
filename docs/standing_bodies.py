"""A standing body in every joint format, for drawings: no data set comes with the package, so the places of joints are told here."""

from __future__ import annotations

import numpy as np

from s2i_hf.processing.layout_conversion import places
from s2i_hf.processing.skeleton_layout import SkeletonLayout, name_key

# Metres, y up, the pelvis at 0, seen from the front; of a pair the right one, which stands on the left of the picture.
MIDDLE = {
    "head": (0, 0.72), "neck": (0, 0.57), "shoulder_center": (0, 0.5), "spine": (0, 0.2), "pelvis": (0, 0), "nose": (0, 0.67),
    "1 spine": (0, 0.1), "3 spine": (0, 0.33), "chest spine": (0, 0.36), "head top": (0, 0.83), "lowerback": (0, 0.06),
    "upperneck": (0, 0.63), "joint root": (0, -0.93), "7 c": (0, 0.53), "10 t": (0, 0.36), "clav": (0.02, 0.47), "strn": (0.02, 0.31),
}  # fmt: skip
RIGHT = {
    "shoulder": (-0.19, 0.46), "elbow": (-0.27, 0.2), "wrist": (-0.34, -0.03), "hand": (-0.36, -0.11), "hip": (-0.1, -0.05),
    "knee": (-0.12, -0.48), "ankle": (-0.13, -0.87), "foot": (-0.19, -0.93), "hand tip": (-0.38, -0.19), "handtip": (-0.38, -0.19),
    "thumb": (-0.29, -0.14), "fingers": (-0.38, -0.19), "eye": (-0.035, 0.71), "ear": (-0.08, 0.69), "eye inner": (-0.02, 0.71),
    "eye outer": (-0.055, 0.71), "mouth": (-0.03, 0.63), "pinky": (-0.41, -0.13), "index": (-0.36, -0.16), "collar": (-0.08, 0.48),
    "clavicle": (-0.07, 0.48), "toes": (-0.21, -0.95), "small toe": (-0.25, -0.92), "heel": (-0.1, -0.94),
    "fhd": (-0.07, 0.77), "bhd": (-0.06, 0.68), "bak": (-0.11, 0.38), "sho": (-0.18, 0.48), "upa": (-0.22, 0.32), "elb": (-0.27, 0.2),
    "frm": (-0.3, 0.08), "wra": (-0.31, -0.02), "wrb": (-0.36, -0.04), "fin": (-0.37, -0.12), "asi": (-0.12, 0.02),
    "psi": (-0.05, 0.05), "thi": (-0.13, -0.25), "kne": (-0.13, -0.48), "tib": (-0.14, -0.68), "ank": (-0.14, -0.87),
    "hee": (-0.1, -0.93), "toe": (-0.2, -0.94),
}  # fmt: skip
FINGERS = {"thumb": (0.9, -0.5), "index": (0.35, -1), "middle": (0.0, -1), "ring": (-0.35, -1), "pinky": (-0.7, -0.9)}


def _place(name: str, called: str) -> tuple[float, float]:
    """(x, y) of a joint; `called` is its place of the body, "" if formats share none. Raises KeyError."""
    side, words = name_key(called or name)
    word = " ".join(words)
    if called in MIDDLE or word in MIDDLE:
        return MIDDLE.get(called) or MIDDLE[word]
    finger = next((finger for finger in FINGERS if finger in words and len(words) > 1), None)
    if finger:  # of a whole hand: index1, index2, index3 one after another
        number = next(int(one) for one in words if one.isdigit())
        out, down = FINGERS[finger]
        x, y = RIGHT["wrist"][0] - 0.02 + 0.03 * out * number, RIGHT["wrist"][1] - 0.05 + 0.04 * down * number
    else:
        if word not in RIGHT and word[0] in "lr":  # markers: LFHD
            side, word = {"l": "left", "r": "right"}[word[0]], word[1:]
        x, y = RIGHT[word]
    return (-x, y) if side == "left" else (x, y)


def standing(layout: SkeletonLayout) -> np.ndarray:
    """(V, 3) metres: somebody who stands and faces you. Raises KeyError for a joint whose place is not told above."""
    known = places(layout)
    body = {name: (*_place(name, known.get(name, "")), 0.0) for name in layout.joint_names}
    for left, right in layout.mirror_pairs:
        if body[left][0] == 0:  # both collars of Nuitrack are one point
            body[right] = body[left]
    return np.array(list(body.values()))
