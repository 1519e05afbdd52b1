"""Which training clips are held out to choose settings: whole subjects, and where the test's cameras are new, a camera each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.skeleton_rows import SkeletonRows

VALIDATION_SHARE = 0.25  # of the training clips
MOST_HELD_OUT = 2 / 3  # of the training clips; where somebody has more, the rest is too little to fit on
CROSS_VALIDATED = 4000  # training clips up to which a probe lets all of them choose: a few folds more cost seconds
CROSS_VALIDATED_VIEWS = 10_000  # the same for all their views together, which several folds hold in memory at a time

Folds = list[tuple[np.ndarray, np.ndarray]]  # (clips to fit on, clips to choose by), two (N,) masks


def held_out_in_turn(subjects: np.ndarray, labels: np.ndarray, seed: int = 0) -> tuple[list[np.ndarray], str]:
    """Which training clips are held out in turn to choose settings: about a quarter of them at a time, whole subjects, each once.

    Those who have more than two thirds of the clips are not held out. With a single subject they are quarters of each class instead.
    `subjects` and `labels` are (N,), of the training clips; `seed` draws who is held out with whom.

    Returns:
        (N,) bool masks, none where there are too few clips to hold any out; and a note ("" if whole subjects are held out).
    """
    subjects, labels = np.asarray(subjects), np.asarray(labels)
    generator = np.random.Generator(np.random.Philox(key=seed))
    people = generator.permutation(np.unique(subjects))
    if len(people) > 1:
        groups: list[list[Any]] = [[]]
        for person in people:
            if groups[-1] and np.isin(subjects, groups[-1]).mean() >= VALIDATION_SHARE:
                groups.append([])
            groups[-1].append(person)
        if len(groups) == 1:  # somebody must remain to fit on
            groups = [groups[0][:-1], groups[0][-1:]]
        if len(groups) > 2 and np.isin(subjects, groups[-1]).mean() < VALIDATION_SHARE / 2:
            groups[-2:] = [[*groups[-2], *groups[-1]]]
        masks = [np.isin(subjects, group) for group in groups]
        return [mask for mask in masks if mask.mean() <= MOST_HELD_OUT], ""
    number = round(1 / VALIDATION_SHARE)
    quarters = np.zeros((number, len(subjects)), dtype=bool)
    for label in np.unique(labels):
        clips = generator.permutation(np.flatnonzero(labels == label))
        for mask, start, stop in zip(quarters, np.arange(number), np.arange(1, number + 1), strict=True):
            mask[clips[round(len(clips) * start / number) : round(len(clips) * stop / number)]] = True
    known = len(people) and people[0] >= 0
    whose = (
        "all training clips are of one subject" if known else "nothing says which subjects the training clips are of"
    )
    note = f"{whose}, so settings were chosen on random quarters of each class, not on held-out people"
    return [mask for mask in quarters if mask.any() and not mask.all()], note


def validation_split(subjects: np.ndarray, labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, str]:
    """The first of `held_out_in_turn`: (N,) bool of about a quarter of the clips, none where there are too few; and a note."""
    masks, note = held_out_in_turn(subjects, labels, seed)
    return masks[0] if masks else np.zeros(len(np.asarray(subjects)), dtype=bool), note


def validation_folds(
    subjects: np.ndarray,
    labels: np.ndarray,
    seed: int = 0,
    cameras: np.ndarray | None = None,
    test_cameras: np.ndarray | None = None,
    by: str = "auto",
    every: bool = False,
) -> tuple[Folds, str]:
    """How settings are chosen: on held-out subjects, and where the test cameras are new, on a camera that was not fitted on either.

    Args:
        subjects, labels, seed: As of `held_out_in_turn`.
        cameras, test_cameras: (N,) and (N_test,) views. Where they share none, and the training clips have several, every training
            camera in turn plays the unseen one: settings are chosen for what the protocol asks.
        by: "auto"; "subjects": whatever the cameras; "cameras": every training camera in turn, whatever the test's are.
        every: Hold every subject out once, and not a quarter of the clips alone.

    Returns:
        The folds and a note ("" if whole subjects were held out).

    Raises:
        ValueError: `by` is "cameras", and there are not two of which clips remain.
    """
    masks, note = held_out_in_turn(subjects, labels, seed)
    masks = masks if every else masks[:1]
    asked = set() if test_cameras is None else set(test_cameras)
    new_view = cameras is not None and bool(asked) and not set(cameras) & asked
    if by == "cameras" or (by == "auto" and new_view):
        cameras = np.asarray(cameras)
        views = [cameras == unseen for unseen in np.unique(cameras)]
        folds = [(~held & ~unseen, held & unseen) for held in masks for unseen in views]
        folds = [(fit, choose) for fit, choose in folds if fit.any() and choose.any()]
        if folds:
            return folds, note
        if by == "cameras":
            raise ValueError(
                f"validation by cameras needs clips of several training cameras, and there are {len(np.unique(cameras))}; hold out "
                "subjects."
            )
    masks = masks or [np.zeros(len(np.asarray(subjects)), dtype=bool)]  # too few clips: nothing to choose by
    return [(~held, held) for held in masks], note


def probe_folds(rows: SkeletonRows, test_cameras: np.ndarray, seed: int = 0, by: str = "auto", times: int = 1) -> Folds:
    """`validation_folds` of training rows for a probe: of few clips every one chooses once, as a quarter of them would choose by luck.

    Args:
        test_cameras: (N_test,) views of the test clips.
        times: Views of each clip that are fitted on, the clips themselves first, as in `FittedArguments.views`.

    Returns:
        Masks (times * N,). A clip is held out with its copies, which never choose: the clips of the test are as they are, too.

    Raises:
        ValueError: `by` is "cameras", and there are not two of which clips remain.
    """
    every = len(rows) <= CROSS_VALIDATED and len(rows) * times <= CROSS_VALIDATED_VIEWS
    folds, _ = validation_folds(rows.subjects, rows.labels, seed, rows.cameras, test_cameras, by, every)
    return [(np.tile(fit, times), np.pad(choose, (0, (times - 1) * len(choose)))) for fit, choose in folds]
