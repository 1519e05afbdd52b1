"""What of a run folder is pushed: enough to be used where `s2i_hf` is not installed, and nothing of this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import finetune_clips
import numpy as np
import pytest
import torch
import yaml
from conftest import one_sentence, refused

from s2i_hf.hub.model_card import write_card
from s2i_hf.hub.public_files import check_public, digest_of_model, public_files, public_text, sidecar, write_files
from s2i_hf.hub.remote_code import code_files
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.provenance import describe_environment

needs_pillow = pytest.mark.skipif(
    importlib.util.find_spec("PIL") is None,
    reason="the pipeline class of transformers needs Pillow, which is not installed",
)
WITHOUT_PACKAGE = "import sys; sys.modules['s2i_hf'] = None\n"  # any import of it fails, wherever it is installed


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("runs")
    for pooling in ("cls", "columns"):
        folder = base / pooling
        finetune_clips.run(folder, max_steps=2, epochs=1, pooling=pooling, data_dir=str(base / "raw data"))
    write_card(base / "cls")
    return base


def without_package(program: str, *argv: object, home: Path) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGE + program, *map(str, argv)], capture_output=True, text=True, env=environment,
        timeout=120, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_pillow
@pytest.mark.parametrize("pooling", ["cls", "columns"])
def test_a_pushed_classifier_says_the_same_without_the_package(runs: Path, tmp_path: Path, pooling: str) -> None:
    from transformers import pipeline

    folder, joints = tmp_path / "pushed", finetune_clips.clips(3, seed=5)[2]["joints"]
    write_files(public_files(runs / pooling, "someone/model"), folder)
    np.save(tmp_path / "clip.npy", joints)
    program = """
import json, numpy, torch
torch.set_num_threads(1)
from transformers import pipeline
classify = pipeline("image-classification", model=sys.argv[1], trust_remote_code=True, device="cpu")
assert "transformers_modules" in type(classify.image_processor).__module__
seen = classify(numpy.load(sys.argv[2]), top_k=4)
ours = pipeline(model=sys.argv[1], trust_remote_code=True, device="cpu")  # config.json says which task
assert type(ours).__name__ == "SkeletonClassificationPipeline" and "transformers_modules" in type(ours).__module__
for found in (ours(numpy.load(sys.argv[2]), top_k=4), ours(sys.argv[2], top_k=4)):
    assert [one["label"] for one in found] == [one["label"] for one in seen]
    assert max(abs(one["score"] - other["score"]) for one, other in zip(found, seen)) < 1e-6
print(json.dumps([type(classify.model).__module__, seen]))
"""
    module, seen = json.loads(without_package(program, folder, tmp_path / "clip.npy", home=tmp_path))
    assert ("transformers_modules" in module) == (pooling == "columns")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for source in (runs / pooling, folder):
            classify = pipeline("image-classification", model=str(source), trust_remote_code=False, device="cpu")
            assert type(classify.image_processor) is SkeletonProcessor
            assert classify(joints, top_k=4) == seen  # to the last bit: JSON keeps floats
    finally:
        torch.set_num_threads(threads)
    assert len({answer["score"] for answer in seen}) == 4


def test_a_pushed_diffmae_loads_without_the_package(tmp_path: Path) -> None:
    from s2i_hf.models.building import build_diffmae, encoder_of

    model = build_diffmae("config:micro", image_size=32).eval()
    run = tmp_path / "run"
    model.save_pretrained(run)
    processor = SkeletonProcessor(layout="kinect_v1", size=32)
    processor.save_pretrained(run)
    write_files(public_files(run, "someone/diffmae"), tmp_path / "pushed")
    np.save(tmp_path / "clip.npy", finetune_clips.clips(1)[0]["joints"])
    program = """
import numpy, torch, transformers
from transformers import AutoModelForPreTraining, AutoModel
from transformers.models.auto.image_processing_auto import AutoImageProcessor
processor = AutoImageProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
model = AutoModelForPreTraining.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
assert "transformers_modules" in type(model).__module__ and AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
extract = transformers.pipeline("skeleton-feature-extraction", model=sys.argv[1], trust_remote_code=True, device="cpu")
numpy.save(sys.argv[2] + ".features.npy", extract(numpy.load(sys.argv[2])))
torch.save(model.state_dict(), sys.argv[3])
numpy.save(sys.argv[2] + ".out.npy", processor(numpy.load(sys.argv[2])).pixel_values.numpy())
"""
    without_package(program, tmp_path / "pushed", tmp_path / "clip.npy", tmp_path / "state.pt", home=tmp_path)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    images = processor(np.load(tmp_path / "clip.npy")).pixel_values.numpy()
    assert np.array_equal(np.load(tmp_path / "clip.npy.out.npy"), images)
    with torch.no_grad():
        features = encoder_of(model)(torch.from_numpy(images)).last_hidden_state[0, 1:].mean(0)
    np.testing.assert_allclose(np.load(tmp_path / "clip.npy.features.npy"), features.numpy(), atol=1e-5)


@pytest.mark.parametrize("model_type", ["vit", "pooled_vit", "pooled_backbone", "diffmae", "RectangularViTMAE"])
def test_code_files_import_only_each_other(model_type: str) -> None:
    import re

    files = code_files({"architectures": [model_type]} if model_type[0].isupper() else {"model_type": model_type})
    assert {"image_processing_skeleton.py", "layouts.py", "encoding.py", "pipeline_skeleton.py"} <= set(files)
    for text in files.values():
        # as transformers looks for them
        beside = re.findall(r"^\s*from\s+\.(\S+)\s+import", text, flags=re.MULTILINE)
        assert {f"{name}.py" for name in beside} <= set(files) and "import s2i_hf" not in text


def test_what_is_pushed_names_no_folder_of_this_machine(runs: Path) -> None:
    files = public_files(runs / "cls", "someone/model")
    texts = {name: content.decode() for name, content in files.items() if isinstance(content, bytes)}
    assert {"config.json", "preprocessor_config.json", "README.md", "run.yaml", "metrics.jsonl", "results.json", "data.json",
            "summary.json", "per_class.json", "environment.json", "model.safetensors"} <= set(files)  # fmt: skip
    assert not [name for name in files if "checkpoint" in name or name.endswith((".pt", ".bin", ".pkl"))]
    assert str(runs) in (runs / "cls" / "run.yaml").read_text()  # otherwise the next line shows nothing
    assert not [name for name, text in texts.items() if str(runs) in text or str(Path.home()) + "/" in text]
    settings = yaml.safe_load(texts["run.yaml"])
    assert settings["data_dir"] is None and settings["output_dir"] == "runs/cls" and settings["seed"] == 0
    assert json.loads(texts["metrics.jsonl"].splitlines()[0])["config"]["data_dir"] is None
    assert json.loads(texts["environment.json"])["trained"]["versions"]["torch"] == torch.__version__
    environment = json.loads(texts["environment.json"])
    left = json.loads((runs / "cls" / "environment.json").read_text())
    assert left.items() <= environment["trained"].items() and list(left) == list(describe_environment())
    assert environment["pushed"]["packages"] == describe_environment()["packages"] == left["packages"]
    assert "\n# model\n" in texts["README.md"] and "\n# cls\n" not in texts["README.md"]
    assert "\n- name: model\n" in texts["README.md"] and "\n- name: cls\n" not in texts["README.md"]
    assert (
        'from_pretrained("someone/model")' in texts["README.md"]
        and "pipeline_tag: image-classification" in texts["README.md"]
    )
    assert json.loads(texts["results.json"]) == json.loads((runs / "cls" / "results.json").read_text())


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("python x.py --data /work/shared/data/NW-UCLA/ --seed 1", "python x.py --data NW-UCLA --seed 1"),
        ("drink/eat meal, (T, M, V, 3) / 2, and/or", "drink/eat meal, (T, M, V, 3) / 2, and/or"),
        ("https://arxiv.org/abs/2603.05963", "https://arxiv.org/abs/2603.05963"),
        (r"C:\Users\me\runs", "runs"),
        ("$DATA_DIR/x ~/runs ../up runs/mae", "$DATA_DIR/x ~/runs ../up runs/mae"),
        ("'/tmp'", "'tmp'"),
    ],
)
def test_paths_become_their_last_part(text: str, public: str) -> None:
    assert public_text(text) == public


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("README.md", b"token hf_" + b"aB3" * 10, "token"),
        ("README.md", b"-----BEGIN RSA PRIVATE KEY-----", "token"),
        ("run.yaml", b"key: this-one-is-in-the-environment", "secret"),
        ("data.json", b'{"name": "/data/recordings/of/us"}', "/data/recordings/of/us"),
        ("metrics.jsonl", b'{"step": 1}\n{"data": "/data/recordings/of/us"}\n', "/data/recordings/of/us"),
        ("README.md", f"see file://{Path.home()}/x.py".encode(), "a path of this machine"),
        ("README.md", b"see file:///disk-of-ours/run/README.md", "'/disk-of-ours/run/', a path of this machine"),
    ],
)
def test_secrets_and_paths_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "this-one-is-in-the-environment")
    with pytest.raises(ValueError, match=words) as error:
        check_public({"config.json": b"{}", name: content}, Path("/disk-of-ours/run"))
    assert one_sentence(error.value) and name in str(error.value) and "aB3" not in str(error.value)
    check_public({"config.json": b"{}", name: b"nothing of the kind"}, tmp_path)


def test_an_export_goes_along_if_it_is_of_these_weights(
    runs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(runs / "cls", folder)
    assert "model.onnx" not in public_files(folder, "someone/model")
    exported, content = folder / "model.onnx", b"an ONNX file"
    exported.write_bytes(content)
    assert "model.onnx" not in public_files(folder, "someone/model")  # nobody says what it was made of
    said = {"source_sha256": digest_of_model(folder), "file_sha256": hashlib.sha256(content).hexdigest()}
    sidecar(exported).write_text(json.dumps(said))
    caplog.clear()
    assert public_files(folder, "someone/model")["model.onnx"] == exported and not caplog.records
    for stale, origin in ((content[:-5], said), (content, {**said, "source_sha256": "0" * 64}), (content, [])):
        exported.write_bytes(stale)
        sidecar(exported).write_text(json.dumps(origin))
        assert "model.onnx" not in public_files(folder, "someone/model")
        assert "other weights" in caplog.text
        caplog.clear()
    exported.write_bytes(content)
    sidecar(exported).write_text(json.dumps(said))
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert "model.onnx" not in public_files(folder, "someone/model")


def test_folders_that_cannot_be_pushed(tmp_path: Path, runs: Path) -> None:
    import shutil

    def cannot_push(folder: Path, words: str, kind: type[Exception] = ValueError) -> None:
        with refused(kind, match=words):
            public_files(folder, "someone/model")

    cannot_push(tmp_path / "nowhere", "is no folder", FileNotFoundError)
    (tmp_path / "empty").mkdir()
    cannot_push(tmp_path / "empty", "a run that has ended")
    folder = tmp_path / "run"
    shutil.copytree(runs / "cls", folder)
    (folder / "preprocessor_config.json").unlink()
    cannot_push(folder, "nobody can use its model")
    shutil.copy(runs / "cls" / "preprocessor_config.json", folder)
    (folder / "results.json").write_text("[{")
    cannot_push(folder, "is not JSON")
    shutil.copy(runs / "cls" / "results.json", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    cannot_push(folder, "pickle")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../x.safetensors"}}')
    cannot_push(folder, "pickle|outside its folder")
    with pytest.raises(ValueError, match="not empty"):
        write_files({}, folder)


def test_a_loaded_processor_forgets_where_its_code_was(runs: Path, tmp_path: Path) -> None:
    write_files(public_files(runs / "cls", "someone/model"), tmp_path / "pushed")
    processor = SkeletonProcessor.from_pretrained(tmp_path / "pushed")
    assert "auto_map" not in processor.to_dict()
    assert processor.to_dict() == SkeletonProcessor.from_pretrained(runs / "cls").to_dict()
