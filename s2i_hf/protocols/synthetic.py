"""The synthetic people of `s2i_hf.synthetic.people`, in files like those of NTU RGB+D."""

from __future__ import annotations

from .protocol import Dataset

_SYNTHETIC = Dataset(
    name="synthetic", title="Synthetic people", reader="ntu_rgbd", layout="kinect_v2", homepage="", licence="none needed",
    citation="s2i_hf/synthetic/people.py", get_it="`s2i synthesize --output DIR`",
    tree="S001C001P001R001A001.skeleton", size="as many as you ask for",
)  # fmt: skip
DATASETS = (_SYNTHETIC,)
PROTOCOLS = (
    _SYNTHETIC.protocol("xsub", range(1, 15), train=frozenset(range(1, 1000, 2))),  # odd subjects train, even ones test
    _SYNTHETIC.protocol("xview", range(1, 15), split_by="camera", train=frozenset({2, 3})),
)
