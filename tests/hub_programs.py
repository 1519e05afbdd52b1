"""Programs that talk to the Hub's stand-in, and a run folder to push."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hub_stand_in import HubStandIn

CLI = "import sys; from s2i_hf.cli import main; sys.exit(main(sys.argv[1:]))"


def run(
    hub: HubStandIn, home: Path, program: str, *argv: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A program of its own, because the clients read their settings when they are imported."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, argv)], capture_output=True, text=True, timeout=120,
        env={**os.environ, **hub.environment, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def a_run(folder: Path, **changes: object) -> Path:
    """The folder of a tiny fine-tuning as it ends, without the training."""
    from transformers import ViTConfig, ViTForImageClassification

    from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

    config = ViTConfig(
        image_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    ViTForImageClassification(config).save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(folder)
    settings = {
        "model": "config:micro",
        "data": "nw_ucla_xview",
        "data_dir": str(folder),
        "layer_decay": 0.75,
        **changes,
    }
    (folder / "run.yaml").write_text(json.dumps(settings))
    return folder


def commits(hub: HubStandIn, name: str = "someone/model") -> int:
    return len(hub.repositories["model", name].snapshots) - 1  # the first is the empty one
