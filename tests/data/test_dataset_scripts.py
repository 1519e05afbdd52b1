from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import datasets
import pytest
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf import dataset_scripts
from s2i_hf.hub.tables import dataset_sections, dataset_table
from s2i_hf.protocols import DATASETS, PROTOCOLS
from s2i_hf.readers import READERS

FOLDER = Path(__file__).parents[2] / "dataset_scripts"


def test_one_builder_a_reader_and_a_configuration_a_protocol() -> None:
    assert set(dataset_scripts.BUILDERS) == set(READERS)
    configurations = []
    for module, name in set(dataset_scripts.BUILDERS.values()):
        builder = getattr(import_module(f"s2i_hf.dataset_scripts.{module}.{module}"), name)
        assert issubclass(builder, datasets.GeneratorBasedBuilder)
        configurations += list(builder.builder_configs)
    assert sorted(configurations) == sorted(PROTOCOLS)


def test_the_builders_work_alone(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "ucla", ["a01_s01_e00_v01", "a02_s01_e00_v03"])
    (tmp_path / "ucla" / "a03_s01_e00_v01.json").write_text("broken")
    (tmp_path / "ntu").mkdir()
    for name in ("S001C001P001R001A001", "S001C001P003R001A060"):
        (tmp_path / "ntu" / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 2))
    for module, config, folder, labels in (
        ("nw_ucla", "nw_ucla_xview", "ucla", [[0], [1]]),
        ("ntu_rgbd", "ntu60_xsub", "ntu", [[0], [59]]),
    ):
        script, class_name = dataset_scripts.BUILDERS[module]
        builder_class = getattr(import_module(f"s2i_hf.dataset_scripts.{script}.{script}"), class_name)
        builder = builder_class(config_name=config, data_dir=str(tmp_path / folder), cache_dir=str(tmp_path / "cache"))
        builder.download_and_prepare()
        data = builder.as_dataset()
        assert [data[split]["label"][:] for split in ("train", "test")] == labels
        assert data["train"].features["label"].names == list(PROTOCOLS[config].class_names)
        streamed = builder.as_streaming_dataset(split="test")
        assert [row["label"] for row in streamed] == labels[1]


@pytest.mark.parametrize(
    "script", sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("[a-z]*/[a-z]*.py"))
)
def test_scripts_stand_alone(script: str) -> None:
    """`datasets` 3.6 copies a script elsewhere before running it, so it may not import its neighbours."""
    text = (FOLDER / script).read_text()
    assert "from ." not in text and "import s2i_hf.dataset_scripts" not in text
    assert text.startswith('"""With `datasets` 4 or newer use `s2i_hf.load_skeletons(')


def test_the_readme_tells_what_the_protocols_hold() -> None:
    text = (FOLDER / "README.md").read_text()
    assert dataset_table() in text and dataset_sections() in text


def test_every_protocol_is_in_the_table() -> None:
    table = dataset_table()
    for name, protocol in PROTOCOLS.items():
        family = re.sub(r"\d+$", "", name)
        assert f"`{name}`" in table or f"`{family}1` to `{family}" in table, name
        assert f"`{dataset_scripts.BUILDERS[protocol.reader][0]}`" in table
        assert protocol.dataset in DATASETS
        dataset = DATASETS[protocol.dataset]
        assert (dataset.reader, dataset.layout) == (protocol.reader, protocol.layout)
