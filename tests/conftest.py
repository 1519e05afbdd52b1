"""What several test files share: no network, the real recordings if there are any, random clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything of Hugging Face is imported: no test asks the network

import numpy as np
import pytest

from s2i_hf.processing.layouts import LAYOUTS, get_layout

if TYPE_CHECKING:
    import torch

MakeClip = Callable[..., np.ndarray]


def one_sentence(error: BaseException | str) -> bool:
    """Whether an error says what is wrong in one short line that ends like a sentence."""
    text = str(error)
    return "\n" not in text and 20 < len(text) < 500 and text[-1] in ".?"


@contextmanager
def refused(
    kinds: type[Exception] | tuple[type[Exception], ...], *words: str, match: str | None = None
) -> Iterator[None]:
    """What is done inside raises one of `kinds`, as one sentence that holds these words and matches a pattern."""
    with pytest.raises(kinds, match=match) as caught:
        yield
    assert one_sentence(caught.value), str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the open skeleton datasets (NW-UCLA and others), named by the environment variable S2I_REAL_DATA."""
    folder = os.environ.get("S2I_REAL_DATA")
    if not folder:
        pytest.skip("S2I_REAL_DATA is not set: no folder of real recordings to test with")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"S2I_REAL_DATA={folder} is not a folder")
    return path


@pytest.fixture(autouse=True)
def own_layouts_stay_in_their_test() -> Iterator[None]:
    """Data sets register layouts of their own for the whole process."""
    known = set(LAYOUTS)
    yield
    for name in LAYOUTS.keys() - known:
        del LAYOUTS[name]


@pytest.fixture
def fused_attention(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The dtype of every call of torch's fused attention, as it is made."""
    import torch  # not at the top: tests of the loading scripts run where it is missing

    calls: list[torch.dtype] = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def counted(query: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(query.dtype)
        return fused(query, *arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    return calls


@pytest.fixture
def make_clip() -> MakeClip:
    """`make_clip("kinect_v2", frames=20, people=2, seed=0)`: a person-sized random walk some metres from the sensor."""

    def make(layout: object = "kinect_v2", frames: int = 20, people: int = 1, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng([seed, frames, people])
        joints = get_layout(layout).num_joints  # type: ignore[arg-type]
        body = rng.uniform(-0.18, 0.18, size=(1, people, joints, 3))  # some 1.6 m along the bones from head to foot
        steps = rng.normal(0, 0.01, size=(frames, people, joints, 3)).cumsum(axis=0)
        place = np.array([0.3, 0.1, 3.0]) + 0.8 * np.arange(people)[:, None, None] * np.array([1.0, 0.0, 0.2])
        return (body + np.clip(steps, -1, 1) + place).astype(np.float32)

    return make
