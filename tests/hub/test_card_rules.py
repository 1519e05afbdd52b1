"""The front matter of every card we make, held against the rules of the Hub.

The rules are written down from its documentation (model and data set card specification, list of licences, pipelines.ts): what it refuses
at a commit, what it would not show, and what YAML 1.2, by which it reads, takes for something else than Python does.
"""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCardData, ModelCardData
from huggingface_hub.utils import validate_repo_id

from s2i_hf.data.storage import FolderWriter, readme_header
from s2i_hf.hub.dataset_card import CardCounts, dataset_card, front_matter, write_dataset_card
from s2i_hf.hub.markdown import front_matter_yaml
from s2i_hf.hub.model_card import render_card, write_card
from s2i_hf.models.vision_weights import TERMS, terms_text
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import DATASETS, PROTOCOLS
from s2i_hf.runs.results import result_row

LICENCES = {
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear",
    "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "lppl-1.3c",
    "ms-pl", "mpl-2.0", "odc-by", "odbl", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl",
    "lgpl-lr", "unknown", "other",
}  # fmt: skip
TASKS = {
    "image-classification", "video-classification", "image-feature-extraction", "feature-extraction", "image-to-image",
    "keypoint-detection", "graph-ml", "unconditional-image-generation", "zero-shot-image-classification", "tabular-classification",
    "mask-generation", "depth-estimation",
}  # fmt: skip
SIZES = {
    "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B", "10B<n<100B", "100B<n<1T",
    "n>1T",
}  # fmt: skip
METRICS = {"accuracy", "f1", "precision", "recall", "mean_iou", "mse", "mae"}  # of hf.co/metrics
MODEL_KEYS = {
    "language", "license", "license_name", "license_link", "library_name", "tags", "datasets", "metrics", "base_model",
    "base_model_relation", "pipeline_tag", "model-index",
}  # fmt: skip
DATASET_KEYS = {
    "language", "license", "license_name", "license_link", "tags", "pretty_name", "size_categories", "task_categories", "configs",
    "source_datasets",
}  # fmt: skip
CLASSES = ["no", "1e5", "null: [x]", "<b>&|"]


class Core(yaml.SafeLoader):
    """YAML 1.2 core schema: `no` is text and 1e5 a number, the other way round than for PyYAML."""


Core.yaml_implicit_resolvers = {}
for kind, pattern, first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    Core.add_implicit_resolver(
        f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), list(first) + ([""] if kind == "null" else [])
    )
Core.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(loader.construct_scalar(node)))
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node), 0))


def complaints(text: str, kind: str = "model") -> list[str]:
    """What the Hub would say of a card."""
    found = re.match(r"---\n(.*?)\n?---\n", text, re.DOTALL)
    if not found:
        return ["no front matter"]
    header = yaml.load(found[1], Core)
    said = [] if header == yaml.safe_load(found[1]) else ["YAML 1.1 and 1.2 read it differently"]
    if not isinstance(header, dict):
        return [*said, "the front matter is no mapping"]
    said += [f"unknown key {key}" for key in sorted(set(header) - (MODEL_KEYS if kind == "model" else DATASET_KEYS))]
    said += [f"{key} is empty" for key, value in header.items() if value in (None, "", [], {})]
    said += [f"{word!r} is no text" for key in ("tags", "datasets", "metrics", "task_categories") for word in header.get(key, [])
             if not isinstance(word, str) or word != word.strip()]  # fmt: skip
    licence = header.get("license")
    said += [f"licence {licence}"] if "license" in header and licence not in LICENCES else []
    if licence == "other":  # the Hub warns unless its name and a link are there
        said += [] if re.fullmatch(r"[a-z0-9.-]+", str(header.get("license_name"))) else ["license_name"]
        said += [] if re.match(r"https://|LICENSE", str(header.get("license_link"))) else ["license_link"]
    elif {"license_name", "license_link"} & set(header):
        said.append("license_name without license: other")
    tasks = [*header.get("task_categories", []), *([header["pipeline_tag"]] if "pipeline_tag" in header else [])]
    said += [f"task {task}" for task in tasks if task not in TASKS]
    said += [f"metric {metric}" for metric in header.get("metrics", []) if metric not in METRICS]
    said += [f"size {size}" for size in header.get("size_categories", []) if size not in SIZES]
    languages = header.get("language", [])
    said += [
        f"language {code!r}"
        for code in ([languages] if isinstance(languages, str) else languages)
        if not re.fullmatch("[a-z]{2,3}", str(code))
    ]
    bases = header.get("base_model", [])
    for name in [*([bases] if isinstance(bases, str) else bases), *header.get("datasets", [])]:
        try:
            validate_repo_id(name)
        except ValueError:
            said.append(f"repository {name!r}")
        if name.count("/") != 1 or name.startswith(("runs/", ".", "/", "~")):
            said.append(f"repository {name!r}")
    return said + _index_complaints(header.get("model-index")) + _config_complaints(header.get("configs", []))


def _index_complaints(index: object) -> list[str]:
    if index is None:
        return []
    if not isinstance(index, list) or len(index) != 1 or not isinstance(index[0].get("name"), str):
        return ["model-index is no list of one named model"]
    said = []
    for result in index[0].get("results") or [{}]:
        task, data, metrics = result.get("task", {}), result.get("dataset", {}), result.get("metrics", [])
        said += [f"task {task.get('type')}"] if task.get("type") not in TASKS else []
        said += [
            f"dataset.{key}"
            for key in ("type", "name", "config", "split")
            if not isinstance(data.get(key), str) or not data[key]
        ]
        said += [] if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(data.get("type"))) else ["dataset.type is no id"]
        said += ["no metrics"] if not metrics else []
        for metric in metrics:
            said += [f"metric {metric.get('type')}"] if metric.get("type") not in METRICS else []
            value = metric.get("value")
            good = isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
            said += [] if good else [f"value {value!r}"]
            said += [] if isinstance(metric.get("name"), str) else ["metric without a name"]
        names = [metric.get("name") for metric in metrics]
        said += ["two metrics of one name"] if len(set(names)) < len(names) else []
    return said


def _config_complaints(configs: list[dict]) -> list[str]:
    said = []
    for config in configs:
        name = config.get("config_name")
        said += [] if isinstance(name, str) and not re.search(r"[<>:/\\|?*]", name) else [f"config_name {name!r}"]
        for part in config.get("data_files", []):
            said += [] if re.fullmatch(r"\w+(\.\w+)*", str(part.get("split"))) else [f"split {part.get('split')!r}"]
            said += [] if isinstance(part.get("path"), str) and not part["path"].startswith("/") else ["path"]
    return said


def run_folder(folder, kind="vit_mae", origin="config:micro", *, finetuned=False, name="nw_ucla_xview", **settings):
    """A run folder of settings and numbers, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"model": origin, "data": name, "seed": 0, "setting": "fine_tune", **settings}
    values |= {"layer_decay": 0.75} if finetuned else {"mask": "random", "mask_ratio": 0.75}
    (folder / "run.yaml").write_text(yaml.safe_dump(values))
    names = dict(enumerate(CLASSES))
    config = {"model_type": kind, "id2label": names} if finetuned else {"model_type": kind}
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["X"], "image_size": 32, "hidden_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "decoder_hidden_size": 32,
        "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 32}))  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps({"layout": "kinect_v1"}))
    (folder / "data.json").write_text(
        json.dumps({"name": name, "class_names": CLASSES, "counts": {"train": 9, "test": 4}})
    )
    dataset, _, protocol = name.rpartition("_")
    rows = [
        result_row(
            dataset=dataset or name, protocol=protocol, setting="fine_tune" if finetuned else "linear_probe", metric=metric, value=0.5,
            encoder="pretrained", method="mae", train_clips=9, test_clips=4, seed=0, seconds=1.0, command="python x.py", commit="123e45",
            hardware="CPU",
        )
        for metric in ("top1", "top5", "mean_class")
    ]  # fmt: skip
    (folder / "results.json").write_text(json.dumps(rows))
    return folder


@pytest.mark.parametrize(
    "origin", ["config:micro", "facebook/vit-mae-base", "user/s2i@main", "runs/gone", "../mae", "somebody/mae"]
)
@pytest.mark.parametrize(("kind", "finetuned"), [("vit_mae", False), ("diffmae", False), ("pooled_vit", True)])
def test_cards_of_models(tmp_path, kind, finetuned, origin):
    folder = run_folder(tmp_path / "1e5", kind, origin, finetuned=finetuned)  # a name that YAML 1.2 takes for a number
    text = render_card(folder)
    assert complaints(text) == []
    header = yaml.load(text.split("---\n")[1], Core)
    assert header["model-index"][0]["name"] == "1e5" and len(header["model-index"][0]["results"][0]["metrics"]) == 3
    assert header.get("pipeline_tag") == ("image-classification" if finetuned else None)  # none that cannot run
    expected = {
        "facebook/vit-mae-base": "facebook/vit-mae-base",
        "user/s2i@main": "user/s2i",
        "somebody/mae": "somebody/mae",
    }
    assert header.get("base_model") == expected.get(origin)
    assert header.get("license") == {"config:micro": "apache-2.0", "facebook/vit-mae-base": "cc-by-nc-4.0"}.get(origin)
    assert "&lt;b>" in text and "<b>" not in text  # names of classes are somebody else's text
    ModelCardData(**{key.replace("-", "_"): value for key, value in header.items()})


def test_nothing_is_inherited_by_an_encoder_that_took_nothing_over(tmp_path):
    folder = run_folder(tmp_path / "run", "pooled_vit", "facebook/vit-mae-base", finetuned=True, encoder="untrained")
    text = render_card(folder)
    assert complaints(text) == [] and "license: apache-2.0" in text and "base_model" not in text
    assert "no commercial use" not in text and "none of its licence" in text and "trained from scratch" in text


def test_licence_and_base_come_through_a_run_in_between(tmp_path, monkeypatch):
    run_folder(tmp_path / "runs" / "mae", origin="facebook/vit-mae-base")
    last = run_folder(tmp_path / "runs" / "ft", "pooled_vit", "runs/mae", finetuned=True)
    header = yaml.safe_load(render_card(last).split("---\n")[1])  # found beside it, wherever the working folder is
    assert (header["license"], header["base_model"]) == ("cc-by-nc-4.0", "facebook/vit-mae-base")
    assert "`mae` (a pretraining that is not on the Hub, itself from `facebook/vit-mae-base`)" in render_card(last)
    (tmp_path / "runs" / "mae" / "hub.json").write_text(json.dumps({"repository": "user/s2i-mae"}))
    assert "base_model: user/s2i-mae\n" in render_card(last) and "fine-tuned from `user/s2i-mae`" in render_card(last)
    # a folder of two words is no repository while it is there, also seen from elsewhere
    mine = run_folder(tmp_path / "runs" / "ft2", "pooled_vit", "runs/ft2", finetuned=True)
    assert "base_model" not in render_card(mine).split("---\n")[1]


def test_what_the_card_said_stays_while_the_hub_cannot_be_asked(tmp_path, monkeypatch):
    folder = run_folder(tmp_path / "run", "pooled_vit", "user/s2i", finetuned=True)
    monkeypatch.setattr("s2i_hf.runs.run_folder._licence_on_hub", lambda name: {"user/s2i": "other"}.get(name))
    text = write_card(folder).read_text()
    assert (
        complaints(text) == []
        and "license: other\n" in text
        and "license_link: https://huggingface.co/user/s2i\n" in text
    )
    monkeypatch.setattr("s2i_hf.runs.run_folder._licence_on_hub", lambda name: None)
    assert write_card(folder).read_text() == text


def test_data_of_a_repository_are_named_so(tmp_path):
    folder = run_folder(tmp_path / "run", finetuned=True, kind="pooled_vit", data="user/skeletons")
    header = yaml.safe_load(render_card(folder).split("---\n")[1])
    assert header["datasets"] == ["user/skeletons"]
    assert header["model-index"][0]["results"][0]["dataset"] == {
        "name": "NW-UCLA Multiview Action 3D, xview", "type": "user/skeletons", "config": "xview", "split": "test",
    }  # fmt: skip


def test_card_of_a_fusion(tmp_path):
    folder = tmp_path / "fused"
    values = {"top1": 0.5, "top5": 1.0, "mean_class": 0.4}
    folder.mkdir()
    fused = {"protocol": "nw_ucla_xview", "streams": ["joint", "bone"], "weights": [0.5, 0.5], "weights_from": "equal", "test_clips": 464,
             "alone": {"a": values, "b": values}, "fused": {**values, "top1": 0.625}, "chosen_on": None,
             "windows": 3, "rotations": 9}  # fmt: skip
    (folder / "fusion.json").write_text(json.dumps(fused))
    text = write_card(folder).read_text()
    assert complaints(text) == [] and "| **fusion** | joint + bone |  | 62.5 | 40.0 | 100.0 |" in text
    assert "from_pretrained" not in text and "$" not in text
    assert "averaged over 3 windows, each in 9 rotations about the vertical axis of each test clip." in " ".join(
        text.split()
    )


def test_robustness_fusion_and_speed_stand_in_the_card_of_a_run(tmp_path):
    folder = run_folder(tmp_path / "run", "pooled_vit", finetuned=True)
    assert "Damaged clips" not in render_card(folder) and "clips a second" not in render_card(folder)
    values = {"top1": 0.5, "top5": 1.0, "mean_class": 0.4}
    robust = {"protocol": "nw_ucla_xview", "setting": "fine_tune", "encoder": "pretrained", "test_clips": 464, "command": "python r.py",
              "commit": "abc", "hardware": "CPU", "found": {"intact": values, "crop_time_25_middle": {**values, "top1": 0.25}}}  # fmt: skip
    (folder / "robustness.json").write_text(json.dumps(robust))
    cost = {"clips_per_second": {"model": 39.6, "graph_network": 53.2}, "batch_size": 32, "precision": "float32", "threads": 1,
            "hardware": "CPU"}  # fmt: skip
    (folder / "cost.json").write_text(json.dumps(cost))
    text = render_card(folder)
    assert complaints(text) == [] and "| 25 % of the frames lost, middle stays | 25.0 | 40.0 | 100.0 | 25.0 |" in text
    assert "```bash\npython r.py\n```\n\nCommit abc, on CPU." in text
    assert "| clips a second, forward, batch 32, float32, 1 thread, CPU | 40 |" in text
    assert re.search(r"\| FLOPs, one clip, forward \| [\d.]+ G \|", text)


@pytest.mark.parametrize("finetuned", [False, True])
def test_numbers_of_damaged_clips_and_of_fusions_are_no_results_of_the_model(tmp_path, finetuned):
    folder = run_folder(tmp_path / "run", "pooled_vit" if finetuned else "vit_mae", finetuned=finetuned)
    before = render_card(folder)
    rows = json.loads((folder / "results.json").read_text())
    setting = rows[0]["setting"]
    worse = [
        {**row, "setting": f"{setting}{tail}", "value": 0.125}
        for row in rows
        for tail in ("_drop_joints_10_zero", "_crop_time_25_start")
    ]
    (folder / "results.json").write_text(json.dumps([*rows, *worse]))
    assert render_card(folder) == before
    (folder / "results.json").write_text(json.dumps([*rows, {**rows[0], "setting": "fusion", "value": 0.125}]))
    assert "0.125" not in render_card(folder).split("---\n")[1]


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "no", "1e5", "my clips", "folder"])
def test_front_matter_of_data_sets(protocol):
    meta = {"protocol": protocol, "counts": {"train": 900, "test": 99}, "format": "parquet", "class_names": CLASSES}
    text = readme_header(protocol, meta["counts"]).replace("---\n", f"---\n{front_matter(meta)}", 1)
    assert complaints(text, "dataset") == []
    header = yaml.load(text.split("---\n")[1], Core)
    assert header["configs"][0]["config_name"] == protocol and header["size_categories"] == ["n<1K"]
    assert ("license" in header) == (protocol in PROTOCOLS and PROTOCOLS[protocol].dataset != "synthetic")
    DatasetCardData(**header)


def test_licences_of_data_sets_by_the_names_of_the_hub():
    found = {}
    for name, data in DATASETS.items():
        rule = next(rule for rule in PROTOCOLS.values() if rule.dataset == name)
        header = yaml.safe_load(front_matter({"protocol": rule.name, "counts": {"train": 1}}))
        found[name] = header.get("license")
        assert header.get("license_link") == (data.homepage if found[name] == "other" else None)
    assert found["bandai_namco"] == "cc-by-nc-4.0"
    assert (found["irds"], found["ui_prmd_kinect"], found["ntu60"], found["synthetic"]) == (
        "cc-by-4.0",
        "pddl",
        "other",
        None,
    )


@pytest.mark.parametrize(
    ("clips", "size"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (2_000_000, "1M<n<10M"), (10**9, "1B<n<10B")],
)
def test_size_categories(clips, size):
    assert yaml.safe_load(front_matter({"protocol": "x", "counts": {"train": clips}}))["size_categories"] == [size]


def test_card_of_a_converted_folder_is_written_anew(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    writer = FolderWriter(folder, PROTOCOLS["irds_xsub"], "parquet", ("train",))
    joints = np.random.default_rng(0).normal(size=(4, 1, 25, 3)).astype(np.float32)
    writer.write("train", SkeletonSequence(joints, "kinect_v2", label=0, sample_id="a"))
    writer.close({"command": "s2i convert irds_xsub", "denoise": True})
    text = write_dataset_card(folder).read_text()
    assert complaints(text, "dataset") == [] and "## Intended use" in text and "Cite the data set: Miron et al." in text
    (folder / "README.md").write_text("lost")
    assert write_card(folder).read_text() == text  # the card of `s2i card`
    assert "$" not in dataset_card(
        {"protocol": "x", "format": "npz", "counts": {"train": 1}, "class_names": []}, CardCounts()
    )


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("license: CC BY-NC 4.0", "licence CC BY-NC 4.0"),
        ("license: other", "license_name"),
        ("base_model: runs/mae", "repository 'runs/mae'"),
        ("base_model: /home/me/mae", "repository '/home/me/mae'"),
        ("datasets:\n- nw_ucla_xview", "repository 'nw_ucla_xview'"),
        ("pipeline_tag: skeleton-recognition", "task skeleton-recognition"),
        ("language: no", "YAML 1.1 and 1.2 read it differently"),
        ("tags:\n- 1e5", "YAML 1.1 and 1.2 read it differently"),
        (
            "model-index:\n- name: x\n  results:\n  - task: {type: video-classification}\n    metrics: [{type: accuracy, value: high}]",
            "value 'high'",
        ),
        ("licence: mit", "unknown key licence"),
    ],
)
def test_the_rules_see_what_is_wrong(header, complaint):
    assert complaint in complaints(f"---\n{header}\n---\n\ntext")


def test_texts_come_back_from_both_kinds_of_yaml():
    odd = ["no", "1e5", "+1", "0o17", "0x1F", "1_000", ".5", "1.", "12:30:00", "2026-01-01", "null", "~", "", " a", "a: b", "#x",
           "é\u2028", "\U0001f600", "-", "y", "=", "<<", "!x", "&a", "*a", "x" * 300, "a\nb", "1E+3", ".inf", "123e45"]  # fmt: skip
    text = front_matter_yaml({"tags": odd, "none": None, "empty": [], "number": 0.1234567, "same": [["a"], ["a"]]})
    expected = {"tags": odd, "number": 0.1234567, "same": [["a"], ["a"]]}
    assert yaml.safe_load(text) == expected and yaml.load(text, Core) == expected and "&id" not in text


# --- the terms of vision:tiny -------------------------------------------------------------------------------------------


def front_matter_of(folder):
    text = render_card(folder)
    assert complaints(text) == []
    return yaml.safe_load(text.split("---\n")[1])


def test_terms_of_vision_weights_come_through_runs_in_between(tmp_path):
    first = run_folder(tmp_path / "runs" / "mae", origin="vision:tiny")
    run_folder(tmp_path / "runs" / "ft", "pooled_vit", "runs/mae", finetuned=True)
    third = run_folder(tmp_path / "runs" / "ft2", "pooled_vit", "runs/ft", finetuned=True)
    terms = {"license": "other", "license_name": "imagenet-non-commercial-research", "license_link": "LICENSE"}
    for folder in (first, third):
        header = front_matter_of(folder)
        assert {key: header.get(key) for key in terms} == terms and "base_model" not in header
        assert "non-commercial research\n  and education only" in render_card(folder)
    assert "starting from `vision:tiny`" in render_card(first) and "itself from `vision:tiny`" in render_card(third)
    # another arm, from scratch in the same architecture, took nothing over
    scratch = run_folder(tmp_path / "runs" / "new", "pooled_vit", "runs/mae", finetuned=True, encoder="untrained")
    assert front_matter_of(scratch)["license"] == "apache-2.0" and "LICENSE-weights" not in render_card(scratch)


@pytest.mark.parametrize(
    ("started_from", "licence"),
    [
        (["mae", "vision:tiny"], "other"),
        (["ft", "mae", "vision:tiny"], "other"),
        (["mae", "facebook/vit-mae-base"], "cc-by-nc-4.0"),
        (["mae"], None),
    ],
)
def test_what_a_run_noted_at_its_start_counts_when_the_folders_are_gone(tmp_path, started_from, licence):
    folder = run_folder(tmp_path / "last", "pooled_vit", "runs/gone", finetuned=True)
    (folder / "metrics.jsonl").write_text(json.dumps({"event": "start", "started_from": started_from}) + "\n")
    assert front_matter_of(folder).get("license") == licence


def test_terms_of_vision_weights_come_from_the_hub_and_from_a_card(tmp_path, monkeypatch):
    folder = run_folder(tmp_path / "run", "pooled_vit", "user/s2i", finetuned=True)
    monkeypatch.setattr("s2i_hf.runs.run_folder._licence_on_hub", lambda name: TERMS)
    header = front_matter_of(folder)
    assert (header["license_name"], header["license_link"], header["base_model"]) == (TERMS, "LICENSE", "user/s2i")
    text = write_card(folder).read_text()
    monkeypatch.setattr("s2i_hf.runs.run_folder._licence_on_hub", lambda name: None)
    assert write_card(folder).read_text() == text  # what the card said stays
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "README.md").write_text(f"---\nlicense: other\nlicense_name: {TERMS}\n---\n")
    assert front_matter_of(run_folder(tmp_path / "next", origin=str(tmp_path / "plain")))["license_name"] == TERMS


def test_the_licence_lies_beside_a_card_that_names_it(tmp_path):
    folder = run_folder(tmp_path / "run", origin="vision:tiny")
    write_card(folder)
    assert (folder / "LICENSE").read_text() == terms_text()
    run_folder(folder)  # the next run in this folder starts from scratch
    write_card(folder)
    assert not (folder / "LICENSE").exists()
    (folder / "LICENSE").write_text("mine")
    write_card(folder)
    assert (folder / "LICENSE").read_text() == "mine"
