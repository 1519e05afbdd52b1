"""What frozen features are worth: kNN and linear probe.

Every choice (regularisation, k, pooling) is made on training subjects, whole people held out; then the classifier is fitted again on
all training clips. Test labels are read once, at the end, to count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.skeleton_rows import SkeletonRows
from ..protocols.folder import FolderSample
from ..readers.generic.folder_labels import doubts_about_classes
from ..runs.results import METRICS
from .features import Features
from .metrics import confusion_matrix, metrics, quick_metrics
from .validation_splits import Folds, validation_folds

C_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strengths, as in LogisticRegression of scikit-learn
K_GRID = (1, 3, 5, 10, 20)
PATIENCE = 2  # values of a grid tried in vain before the rest, weaker and slower to fit, is left out


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero mean and unit variance by the numbers of the training clips alone."""
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    std[std < 1e-8] = 1.0  # a constant feature tells nothing, and stays zero
    return torch.from_numpy((train - mean) / std), torch.from_numpy((test - mean) / std)


def _principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal axes (D, R) of the rows of `x` and the variance (R,) along each; directions without variance are left out."""
    wide = x.shape[1] > x.shape[0]
    values, vectors = torch.linalg.eigh((x @ x.T if wide else x.T @ x) / len(x))
    keep = values > 1e-10 * values.max().clamp(min=1e-30)
    values, vectors = values[keep], vectors[:, keep]
    return (x.T @ vectors / (values * len(x)).sqrt() if wide else vectors), values


def softmax_scores(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, grid: Sequence[float], num_classes: int
) -> Iterator[np.ndarray]:
    """Linear probe: L2-regularised softmax regression, for every C of `grid`.

    Minimises `C * (sum of cross-entropies) + |W|^2 / 2` (the bias is free) by L-BFGS, as scikit-learn's LogisticRegression does, in
    torch so that it also runs where scikit-learn is missing. The penalty does not change under rotation, so the problem is solved
    along the principal axes, where its curvature is nearly diagonal and dividing by it saves most of the iterations.

    Yields:
        One (N_test, num_classes) array of log-odds a C, fitted when it is asked for.
    """
    train, test = _standardise(train_x, test_x)
    axes, variance = _principal_axes(train)
    train, test = train @ axes, test @ axes  # weights outside these axes are zero at the optimum
    target = torch.nn.functional.one_hot(torch.from_numpy(np.asarray(train_y, dtype=np.int64)), num_classes).double()
    for strength in grid:
        decay = 1 / (strength * len(train))
        step = (variance / num_classes + decay).rsqrt()[:, None]  # curvature along each axis, to scale it away
        inputs = torch.cat([train * step.T, train.new_ones(len(train), 1)], dim=1)
        penalty = torch.cat([decay * step.square(), step.new_zeros(1, 1)])
        weight = torch.zeros(inputs.shape[1], num_classes, dtype=torch.float64)
        weight.grad = torch.zeros_like(weight)
        optimizer = torch.optim.LBFGS([weight], max_iter=300, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

        def closure(x: torch.Tensor = inputs, w: torch.Tensor = weight, decay: torch.Tensor = penalty) -> torch.Tensor:
            log_share = torch.log_softmax(x @ w, dim=1)
            w.grad = x.T @ (log_share.exp() - target) / len(x) + decay * w
            return -(target * log_share).sum() / len(x) + (decay * w.square()).sum() / 2

        optimizer.step(closure)
        yield (torch.cat([test * step.T, test.new_ones(len(test), 1)], dim=1) @ weight).numpy()


def knn_scores(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, grid: Sequence[int], num_classes: int
) -> Iterator[np.ndarray]:
    """k nearest neighbours by cosine of standardised features, for every k of `grid`.

    Each neighbour has one vote. Ties, and classes without a vote, are ordered by their nearest training clip, which makes top-5 well
    defined for every k. Yields one (N_test, num_classes) array of scores a k.
    """
    train, test = (torch.nn.functional.normalize(x, dim=1) for x in _standardise(train_x, test_x))
    labels = torch.from_numpy(np.asarray(train_y, dtype=np.int64))
    scores: list[list[torch.Tensor]] = [[] for _ in grid]
    for chunk in test.split(1024):  # bounds the similarity matrix
        similarity = chunk @ train.T
        nearest = similarity.topk(min(max(grid), len(labels)), dim=1).indices
        closest = torch.full((len(chunk), num_classes), -1.0, dtype=similarity.dtype)
        closest.scatter_reduce_(1, labels.expand(len(chunk), -1), similarity, "amax")
        for values, k in zip(scores, grid, strict=True):
            votes = torch.nn.functional.one_hot(labels[nearest[:, :k]], num_classes).sum(dim=1)
            values.append(votes + (closest + 1) / 4)  # from 0 to 1/2: less than a vote
    yield from (torch.cat(values).numpy() for values in scores)


CLASSIFIERS: dict[str, tuple[Callable[..., Iterator[np.ndarray]], str, tuple[Any, ...]]] = {
    "linear_probe": (softmax_scores, "C", C_GRID),
    "knn": (knn_scores, "k", K_GRID),
}
SETTINGS = tuple(CLASSIFIERS)


@dataclass(frozen=True)
class Choice:
    """What was chosen on held-out training clips: a value of the classifier's grid, and the key of the features ("all" of one kind).

    `setting` is "linear_probe" or "knn"; `validation` is top1, top5 and mean_class of the choice on the clips that chose.
    """

    setting: str
    pooling: str
    value: float
    validation: dict[str, float]

    @property
    def chosen(self) -> dict[str, Any]:
        """The value ("C" or "k"), and the pooling if it has a name."""
        value = {CLASSIFIERS[self.setting][1]: self.value}
        return value if self.pooling == "all" else {**value, "pooling": self.pooling}


def as_text(chosen: Mapping[str, Any]) -> str:
    """What was chosen as text, such as "k 5, pooling mean"."""
    return ", ".join(f"{name} {value}" for name, value in chosen.items())


@dataclass
class ProbeResult:
    """One classifier on one kind of feature.

    Args:
        metrics: top1, top5 and mean_class on the test clips, 0 to 1.
        chosen: The setting ("C" or "k") and the pooling chosen on the validation split.
        validation: top-1 of that choice there (or mean-class accuracy, where settings are chosen by it).
        predictions: (N_test,) class indices; scores: (N_test, num_classes).
        confusion: (num_classes, num_classes) counts, a row for each true class; note: how the split deviated, or "".
    """

    metrics: dict[str, float]
    chosen: dict[str, Any]
    validation: float
    predictions: np.ndarray
    scores: np.ndarray
    confusion: np.ndarray
    note: str = ""


def check_labels(train_y: np.ndarray, test_y: np.ndarray | None = None, data: str = "") -> None:
    """Raise ValueError for labels of `data` that nothing can be learned from: none, some below 0, or a single class."""
    for name, labels in (("training", train_y), ("test", train_y if test_y is None else test_y)):
        if len(labels) == 0:
            raise ValueError(f"{data or 'The data'} has no {name} clips; check the data folder and the protocol.")
        if labels.min() < 0:
            raise ValueError(
                f"{(labels < 0).sum()} {name} clips have no label (-1); expected a label for every clip: put each in a folder named after "
                "its class, or list them in a labels.csv."
            )
    if len(np.unique(train_y)) < 2:
        raise ValueError(f"All {len(train_y)} training clips have one label; expected at least two classes.")


def class_doubts(train: SkeletonRows, test: SkeletonRows) -> list[str]:
    """Sentences about classes that are spelled alike, or that have clips in one split alone: test clips of these are never right."""
    both = (("train", train.labels.tolist()), ("test", test.labels.tolist()))
    count = max((label + 1 for _, labels in both for label in labels), default=0)
    names = [*map(str, train.class_names), *map(str, range(len(train.class_names), count))]
    return doubts_about_classes(names, [FolderSample(split, label) for split, labels in both for label in labels])  # type: ignore[arg-type]


def evaluate_probe(
    setting: str,
    train: np.ndarray | Features,
    train_y: np.ndarray,
    train_subjects: np.ndarray,
    test: np.ndarray | Features,
    test_y: np.ndarray,
    seed: int = 0,
    num_classes: int | None = None,
    pooling: str = "auto",
    folds: Folds | None = None,
    metric: str = "top1",
    *,
    train_as_test: np.ndarray | Features | None = None,
    patience: int = PATIENCE,
) -> ProbeResult:
    """Choose on training subjects, fit on all of them, count on the test clips.

    Args:
        setting: "linear_probe" or "knn".
        train: (N, D) features, or a dict pooling -> (N, D); test: the same of the test clips.
        train_y, train_subjects: (N,) labels and performers; test_y: (N_test,) labels, used for counting only.
        seed: Draws the held-out subjects.
        num_classes: Number of classes; the largest training label + 1 if None. A class without a training clip is never right.
        pooling: One key of `train`, or "auto" to choose it on the validation split too.
        folds: Masks from `validation_folds` or `probe_folds`; if None, a quarter of the clips is held out, whole subjects.
        metric: What settings are chosen by: "top1" or "mean_class", as the protocol reports.
        train_as_test: Features of the training clips where these choose, as the test has them (in its joint format); `train` if None.
        patience: Values of the grid that are tried in vain before the rest is left out.

    Raises:
        ValueError: unknown setting or pooling, no clips, unlabelled clips, or fewer than two classes to learn.
    """
    if setting not in CLASSIFIERS:
        raise ValueError(f"setting is {setting!r}; expected one of {', '.join(SETTINGS)}.")
    train, test = _by_pooling(train), _by_pooling(test)
    train_y, test_y = np.asarray(train_y, dtype=np.int64), np.asarray(test_y, dtype=np.int64)
    poolings = list(train) if pooling == "auto" or list(train) == ["all"] else [pooling]
    if poolings[0] not in train:
        raise ValueError(f"pooling is {pooling!r}; expected auto or one of {', '.join(train)}.")
    check_labels(train_y, test_y)
    num_classes = num_classes or int(train_y.max()) + 1
    split, note = validation_folds(train_subjects, train_y, seed)
    learned = {name: train[name] for name in poolings}
    asked = train if train_as_test is None else _by_pooling(train_as_test)
    folds = split if folds is None else folds
    choice = choose(setting, learned, train_y, folds, num_classes, metric, asked, patience)
    return fit_chosen(choice, train, train_y, test, test_y, num_classes, metric, note)


def choose(
    setting: str,
    train: Features,
    train_y: np.ndarray,
    folds: Folds,
    num_classes: int,
    metric: str = "top1",
    train_as_test: Features | None = None,
    patience: int = PATIENCE,
) -> Choice:
    """The pooling of `train` and the value of the grid that are best on the clips of all folds together; see `evaluate_probe`."""
    classify, _, grid = CLASSIFIERS[setting]
    asked = train if train_as_test is None else train_as_test
    chosen_y = np.concatenate([train_y[choose] for _, choose in folds])
    best: Choice | None = None
    for pooling, x in train.items():
        here, in_vain = -1.0, 0
        tried = [classify(x[fit], train_y[fit], asked[pooling][choose], grid, num_classes) for fit, choose in folds]
        for value, *scores in zip(grid, *tried, strict=False):
            # of too few clips none are held out
            found = quick_metrics(np.concatenate(scores), chosen_y) if len(chosen_y) else dict.fromkeys(METRICS, 0.0)
            here, in_vain = (found[metric], 0) if found[metric] > here else (here, in_vain + 1)
            # the first of equals: strongest regularisation, fewest neighbours
            if best is None or found[metric] > best.validation[metric]:
                best = Choice(setting, pooling, value, found)
            if in_vain >= patience:
                break
    assert best is not None  # there is a pooling, and no grid is empty
    return best


def fit_chosen(
    choice: Choice,
    train: Features,
    train_y: np.ndarray,
    test: Features,
    test_y: np.ndarray,
    num_classes: int,
    metric: str = "top1",
    note: str = "",
) -> ProbeResult:
    """Fit the chosen classifier on all training clips, and count on the test clips."""
    classify, x = CLASSIFIERS[choice.setting][0], train[choice.pooling]
    scores = next(iter(classify(x, train_y, test[choice.pooling], [choice.value], num_classes)))
    unknown = max(0, int(test_y.max()) + 1 - num_classes)  # classes that only test clips have
    scores = np.pad(scores, ((0, 0), (0, unknown)), constant_values=-np.inf)
    predictions = scores.argmax(axis=1)
    confusion = confusion_matrix(predictions, test_y, num_classes + unknown)
    found = metrics(scores, test_y)
    return ProbeResult(found, choice.chosen, choice.validation[metric], predictions, scores, confusion, note)


def _by_pooling(features: np.ndarray | Features) -> Features:
    named = features if isinstance(features, Mapping) else {"all": features}
    return {pooling: np.asarray(values) for pooling, values in named.items()}
