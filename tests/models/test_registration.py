"""What `import s2i_hf` loads and registers, in fresh processes and in either order with transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

import s2i_hf
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

SLOW_TO_IMPORT = ("transformers", "datasets", "evaluate", "accelerate", "huggingface_hub", "sklearn", "matplotlib")


def fresh_process(code: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stock vit config and our processor."""
    from transformers import ViTConfig

    folder = tmp_path_factory.mktemp("model")
    ViTConfig(image_size=64).save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v1", size=64).save_pretrained(folder)
    return folder


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, s2i_hf; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = fresh_process(code)
    assert not [name for name in SLOW_TO_IMPORT if f"'{name}'" in loaded]


USE = (
    "processor = transformers.{name}.from_pretrained({folder!r});"
    "assert type(processor).__module__ == 's2i_hf.processing.image_processing_skeleton', type(processor);"
    "assert processor.layout == 'kinect_v1' and processor.size == {{'height': 64, 'width': 64}};"
    "print(type(processor).__name__)"
)
ORDERS = {
    "ours first": (  # and somebody only asks where the module is, before it is imported
        "import s2i_hf, importlib.util; importlib.util.find_spec('transformers.models.auto.image_processing_auto');"
        "import transformers; from transformers import {name};"
    ),
    "transformers first": "import transformers; from transformers import {name}; import s2i_hf;",
}


@pytest.mark.parametrize("name", ["AutoProcessor", pytest.param("AutoImageProcessor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("order", ORDERS)
def test_auto_classes_know_ours_in_either_import_order(order: str, name: str, model_folder: Path) -> None:
    if "torchvision" in getattr(getattr(transformers, name), "_backends", ()):
        pytest.skip(f"{name} of transformers {transformers.__version__} needs torchvision; AutoProcessor does not")
    assert fresh_process((ORDERS[order] + USE).format(name=name, folder=str(model_folder))) == "SkeletonProcessor"


def test_stock_processors_are_left_alone(tmp_path: Path) -> None:
    """Registering ours takes no model type away from transformers."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES, AutoImageProcessor

    assert "vit" in IMAGE_PROCESSOR_MAPPING_NAMES and "Skeleton" not in str(IMAGE_PROCESSOR_MAPPING_NAMES["vit"])
    SkeletonProcessor().save_pretrained(tmp_path)
    assert type(AutoImageProcessor.from_pretrained(tmp_path)) is SkeletonProcessor


def test_every_public_name_resolves() -> None:
    for name in s2i_hf.__all__:
        assert getattr(s2i_hf, name) is not None
    assert set(s2i_hf.__all__) <= set(dir(s2i_hf))
    assert s2i_hf.SkeletonProcessor is SkeletonProcessor
    with pytest.raises(AttributeError, match="no attribute 'encod'"):
        _ = s2i_hf.encod
    from s2i_hf import LAYOUTS, encode

    assert "kinect_v2" in LAYOUTS and callable(encode)


FIRST_IMPORTS = (  # each reaches the Auto modules by another way
    "import s2i_hf; from transformers import AutoConfig",
    "import s2i_hf; from transformers import ViTMAEConfig",
    "import s2i_hf.models.configuration_pooled_vit",
    "from transformers import AutoConfig; import s2i_hf",
    "from transformers import AutoModelForImageClassification; import s2i_hf",
)


@pytest.mark.slow
@pytest.mark.parametrize("first", FIRST_IMPORTS)
def test_our_models_are_known_whatever_is_imported_first(first: str) -> None:
    code = (
        f"{first}\n"
        "from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, AutoModelForPreTraining\n"
        "small = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16, image_size=32)\n"
        "small |= {f'decoder_{name}': size for name, size in small.items() if name != 'image_size'}\n"
        "print(type(AutoModelForPreTraining.from_config(AutoConfig.for_model('diffmae', **small))).__name__)\n"
        "print(type(AutoModel.from_config(AutoConfig.for_model('diffmae', **small))).__name__)\n"
        "print(type(AutoModelForImageClassification.from_config(AutoConfig.for_model('pooled_vit', **small))).__name__)\n"
        "config = AutoConfig.for_model('pooled_backbone', backbone_config={'model_type': 'vit', **small})\n"
        "print(type(AutoModelForImageClassification.from_config(config)).__name__)\n"
    )
    assert fresh_process(code).split() == [
        "DiffMAEForPreTraining", "DiffMAEModel", "PooledViTForImageClassification", "PooledBackboneForImageClassification",
    ]  # fmt: skip
