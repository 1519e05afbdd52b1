"""What stock calls write (`save_pretrained`, `Trainer.save_model`, `push_to_hub`) opens where this package is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeClip
from hub_stand_in import HubStandIn
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.models.configuration_pooled_vit import PooledViTConfig
from s2i_hf.models.modeling_pooled_vit import PooledViTForImageClassification
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "num_labels": 3}
# Opens everything below a folder and writes what it computes; any import of the package fails, wherever it is installed
STRANGER = """
import sys; sys.modules["s2i_hf"] = None
import numpy, torch, transformers
from transformers.models.auto.image_processing_auto import AutoImageProcessor
for name, auto in [each.split("=") for each in sys.argv[3:]]:
    processor = AutoImageProcessor.from_pretrained(f"{sys.argv[1]}{name}", trust_remote_code=True)
    model = getattr(transformers, auto).from_pretrained(f"{sys.argv[1]}{name}", trust_remote_code=True).eval()
    assert "transformers_modules" in type(processor).__module__, type(processor)
    images = processor(numpy.load(f"{sys.argv[2]}/clip.npy"))["pixel_values"]
    torch.manual_seed(0)
    with torch.no_grad():
        numpy.save(f"{sys.argv[2]}/{name}.npy", model(images).logits.numpy())
"""
AUTO = {
    "vit": "AutoModelForImageClassification", "pooled": "AutoModelForImageClassification", "diffmae": "AutoModelForPreTraining",
    "rectangular": "AutoModelForPreTraining",
}  # fmt: skip


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[Any, SkeletonProcessor]]:
    square, rectangle = (SkeletonProcessor(layout="kinect_v1", size=size) for size in (32, (64, 32)))
    torch.manual_seed(1)
    return {
        "vit": (ViTForImageClassification(ViTConfig(image_size=32, **SMALL)), square),
        "pooled": (PooledViTForImageClassification(PooledViTConfig(image_size=32, pooling="columns", **SMALL)), square),
        "diffmae": (build_diffmae("config:micro", image_size=32), square),
        "rectangular": (build_mae("config:micro", image_size=(64, 32)), rectangle),
    }


def opened_by_a_stranger(
    prefix: str, models: dict[str, Any], work: Path, joints: np.ndarray, **environment: str
) -> None:
    """Compare what a process without the package computes with what is computed here."""
    np.save(work / "clip.npy", joints)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STRANGER, prefix, work, *(f"{name}={AUTO[name]}" for name in models)],
        capture_output=True, text=True, cwd=work, timeout=300,
        env={**os.environ, "HF_HOME": str(work / "home"), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, (model, processor) in models.items():
        torch.manual_seed(0)
        with torch.no_grad():
            wanted = model.eval()(processor(joints)["pixel_values"]).logits.numpy()
        np.testing.assert_allclose(np.load(work / f"{name}.npy"), wanted, atol=1e-5, err_msg=name)


def test_saved_folders_open_without_the_package(models: dict[str, Any], tmp_path: Path, make_clip: MakeClip) -> None:
    model, processor = models["vit"]
    arguments = TrainingArguments(output_dir=str(tmp_path / "run"), report_to="none", use_cpu=True)
    Trainer(model, arguments, processing_class=processor).save_model(str(tmp_path / "vit"))
    for name in ("pooled", "diffmae", "rectangular"):
        for part in models[name]:
            part.save_pretrained(tmp_path / name)
    opened_by_a_stranger(f"{tmp_path}/", models, tmp_path, make_clip("kinect_v1", 40), HF_HUB_OFFLINE="1")


PUSHER = """
import sys
from s2i_hf.models.building import build_diffmae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
build_diffmae("config:micro", image_size=32).push_to_hub("someone/diffmae", private=True)
SkeletonProcessor(layout="kinect_v1", size=32).push_to_hub("someone/diffmae")
"""


def test_pushed_by_stock_calls_open_without_the_package(
    models: dict[str, Any], tmp_path: Path, make_clip: MakeClip
) -> None:
    with HubStandIn() as hub:
        environment = {**hub.environment, "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "owner")}
        done = subprocess.run(
            [sys.executable, "-c", PUSHER],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        files = hub.repositories["model", "someone/diffmae"].files
        assert {
            "modeling_diffmae.py",
            "image_processing_skeleton.py",
            "config.json",
            "preprocessor_config.json",
        } <= set(files)
        only = {"diffmae": models["diffmae"]}
        opened_by_a_stranger("someone/", only, tmp_path, make_clip("kinect_v1", 40), **hub.environment)
