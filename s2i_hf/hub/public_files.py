"""What of a run folder goes to the Hub: the model, its processor, its card, how it came about, and the code it needs.

Files are taken by name, never all that lie there, and paths of this machine are taken out of the settings and texts among them. A text
that still names a path, or that holds a token, is not pushed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..models.registration import OWN_MODELS
from ..processing.layouts import get_layout
from ..runs.provenance import ENVIRONMENT, describe_environment
from ..runs.run_folder import RunFolder
from ..utils.arguments import SETTINGS_HEADER
from .card_sections import origin_repository
from .markdown import front_matter_yaml, render
from .model_card import render_card
from .remote_code import PROCESSOR_CLASS, code_files, with_code

logger = logging.getLogger(__name__)

Files = dict[str, bytes | Path]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ONNX = "model.onnx"
_JSON = (
    "data.json", "summary.json", "results.json", "per_class.json", "reconstruction.json", "robustness.json",
    "fusion.json", "cost.json",
)  # fmt: skip
_PICTURES = ("confusion.png", "curve.png", "reconstruction.png")
# Every name a push may have written, so that the next one can delete what is no longer there.
NAMES = frozenset(
    {
        *(WEIGHTS, INDEX, "config.json", "preprocessor_config.json", "README.md", "run.yaml", "metrics.jsonl"),
        *(ENVIRONMENT, ONNX, *_JSON, *_PICTURES),
    }
)
# Settings that are folders of this machine or say how to go on here; null or a default in a pushed run.yaml.
_LOCAL_SETTINGS: dict[str, Any] = {
    "data_dir": None, "cache_dir": None, "results_csv": None, "resume": "none", "overwrite": False, "push_to_hub": None,
}  # fmt: skip
_PATH = re.compile(
    r"(?<![\w:/.~$}>)\]\\-])/(?:(?:[\w.@+-]+/)+[\w.@+-]*|(?:tmp|root|home|work|Users|mnt|scratch)\b)"
    r"|(?<!\w)[A-Za-z]:(?:\\{1,2}[\w .@+-]+)+"
)
_SECRETS = re.compile(
    r"(?<![A-Za-z0-9_])(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{16})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", re.IGNORECASE)


def public_files(run_dir: str | Path, repository: str) -> Files:
    """The files of a pushed run folder, looked through.

    Args:
        run_dir: Folder of a finished pretraining or fine-tuning.
        repository: Such as "user/name"; its name is in the card. A branch in it ("user/name@branch") is not.

    Returns:
        Name in the repository -> content, or the path of a file that goes as it is. config.json, preprocessor_config.json, README.md and
        the weights are always there; run.yaml, results and pictures as far as the run left them; environment.json; code files;
        model.onnx if it was made of this very model, and not of an earlier one.

    Raises:
        ValueError: the run is not finished, its weights are pickles, a file is broken, or a text would give away a path or a token.
        FileNotFoundError: there is no such folder.
    """
    import yaml

    run_dir, repository = Path(run_dir).expanduser(), repository.partition("@")[0]
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{str(run_dir)!r} is no folder; expected the run folder of a finished training.")
    run = RunFolder(run_dir)
    files: Files = {**_weights(run_dir), **_configs(run)}
    for name in _JSON:
        if run.has(name):
            files[name] = _json_bytes(_public(json.loads((run_dir / name).read_text(encoding="utf-8"))))
    files |= {name: run_dir / name for name in _PICTURES if run.has(name)}
    if run.settings:
        settings = yaml.safe_dump(_public_settings(run.settings, run), sort_keys=False)
        files["run.yaml"] = (SETTINGS_HEADER + settings).encode()
    if run.start or run.metrics:
        start = [{**run.start, "config": _public_settings(run.start.get("config", {}), run)}] if run.start else []
        rows = [json.dumps(_public(row)) for row in [*start, *run.metrics]]
        files["metrics.jsonl"] = ("\n".join(rows) + "\n").encode()
    files[ENVIRONMENT] = _json_bytes(_environment(run))
    if run.has(ONNX):
        if is_fresh_export(run_dir / ONNX, run_dir):
            files[ONNX] = run_dir / ONNX
        else:
            logger.warning(
                "%s was exported from other weights or settings and stays here; `s2i export --overwrite` makes it anew.",
                ONNX,
            )
    files["README.md"] = _card(run, repository).encode()
    files |= {name: text.encode() for name, text in code_files(str(run.config.get("model_type", ""))).items()}
    check_public(files, run_dir)
    return files


def sidecar(file: str | Path) -> Path:
    """Where `s2i export` says what a file was made of: model.onnx.json of model.onnx."""
    return Path(f"{file}.json")


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of_model(folder: str | Path) -> str:
    """SHA-256, in hex, of the weights, config.json and preprocessor_config.json in a folder, as far as they are there."""
    folder, digest = Path(folder), hashlib.sha256()
    names = ["config.json", "preprocessor_config.json", WEIGHTS, INDEX]
    for path in [*(folder / name for name in names), *sorted(folder.glob("model-*-of-*.safetensors"))]:
        if path.is_file():
            digest.update(f"{path.name} {digest_of(path)}\n".encode())
    return digest.hexdigest()


def is_fresh_export(file: Path, folder: Path) -> bool:
    """Whether an exported file is whole and of the model that is in the folder now, by its sidecar."""
    try:
        said = json.loads(sidecar(file).read_text(encoding="utf-8"))
        return bool(said["source_sha256"] == digest_of_model(folder) and said["file_sha256"] == digest_of(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_files(files: Files, folder: str | Path) -> None:
    """Write the files of `public_files` into a new or empty folder, to look at or to load.

    Raises:
        ValueError: the folder holds something.
    """
    folder = Path(folder).expanduser()
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; expected a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)


# -- what goes in ------------------------------------------------------------------------------------------------------


def _weights(run_dir: Path) -> Files:
    if (run_dir / INDEX).is_file():
        try:
            shards = sorted(set(json.loads((run_dir / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ValueError(f"{run_dir / INDEX} is no index of weights; save the model again.") from None
        names = [INDEX, *shards]
    else:
        names = [WEIGHTS]
    if not (run_dir / "config.json").is_file() or not all((run_dir / name).is_file() for name in names):
        if any(run_dir.glob("pytorch_model.bin*")):
            raise ValueError(
                f"{run_dir} holds its weights as a pickle, which runs code when it is read; save them with save_pretrained first."
            )
        raise ValueError(f"{run_dir} has no config.json with {names[-1]}; expected a run that has ended.")
    if any(Path(name).name != name for name in names):
        raise ValueError(f"{run_dir / INDEX} names weights outside its folder; save the model again.")
    return {name: run_dir / name for name in names}


def _configs(run: RunFolder) -> Files:
    if run.processor.get("image_processor_type") != "SkeletonProcessor":
        raise ValueError(
            f"{run.path} has no preprocessor_config.json of a SkeletonProcessor, without which nobody can use its model."
        )
    processor = dict(run.processor)
    try:
        get_layout(processor["layout"]) if processor.get("layout") is not None else None
    except ValueError as error:
        raise ValueError(f"{run.path / 'preprocessor_config.json'}: {error}") from None
    model = with_code(run.config, OWN_MODELS.get(str(run.config.get("model_type", "")), {}))
    return {
        "config.json": _json_bytes(_public(model)),
        "preprocessor_config.json": _json_bytes(_public(with_code(processor, {"AutoImageProcessor": PROCESSOR_CLASS}))),
    }


def _public_settings(settings: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Settings that mean the same on another machine: no folders, and models by the name they have on the Hub."""
    values = {name: _LOCAL_SETTINGS.get(name, value) for name, value in settings.items()}
    if "output_dir" in values:
        values["output_dir"] = f"runs/{run.title}"
    if model := str(settings.get("model") or ""):
        is_local = _PATH.search(model) or model.startswith(("~", "./", "../"))
        values["model"] = origin_repository(run) or (f"runs/{Path(model).name}" if is_local else model)
    return dict(_public(values))


def _public(value: Any) -> Any:
    """JSON values in which folders of this machine have become the last part of their path."""
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items() if key != "_name_or_path"}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return public_text(value) if isinstance(value, str) else value


def public_text(text: str) -> str:
    """Text in which absolute paths have become their last part."""
    return _PATH.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)


def _environment(run: RunFolder) -> dict[str, Any]:
    """What the run was made with, and what the folder was put together with, both as `s2i env` says it."""
    trained = json.loads((run.path / ENVIRONMENT).read_text(encoding="utf-8")) if run.has(ENVIRONMENT) else {}
    kept = ("versions", "device", "num_processes", "commit", "command")  # a run of an earlier version left nothing else
    started = {key: run.start[key] for key in kept if key in run.start}
    return {"trained": _public({**trained, **started}), "pushed": describe_environment()}


def _card(run: RunFolder, repository: str) -> str:
    """The folder's card, which says how the repository is called and how to use it without this package."""
    from huggingface_hub import ModelCard

    name = repository.partition("/")[2]
    text = (run.path / "README.md").read_text(encoding="utf-8") if run.has("README.md") else render_card(run.path)
    text = text.replace(f'from_pretrained("{run.title}")', f'from_pretrained("{repository}")')
    text = re.sub(rf"^# {re.escape(run.title)}$", lambda _: f"# {name}", text, count=1, flags=re.MULTILINE)
    card = ModelCard(public_text(text), ignore_metadata_errors=True)
    metadata: Any = card.data  # has the keys of any card as attributes
    if metadata.model_name:
        metadata.model_name = name  # as people will call it
    if run.base_model and not metadata.base_model:
        metadata.base_model = run.base_model
    classifies = "ForImageClassification" in " ".join(run.config.get("architectures") or [])
    if classifies and not metadata.pipeline_tag:
        metadata.pipeline_tag = "image-classification"
    body, heading = card.text.lstrip(), "### How to reproduce"
    if "trust_remote_code" not in body:
        usage = render("without_package.md.j2", repository=repository, classifies=classifies)
        body = body.replace(heading, f"{usage}\n{heading}", 1)
    return f"---\n{front_matter_yaml(metadata.to_dict())}---\n\n{body}"


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


# -- what must not go in -----------------------------------------------------------------------------------------------


def check_public(files: Files, folder: Path) -> None:
    """Refuse texts that name a path of this machine or hold a secret: a card may say anything, weights and pictures are ours.

    Args:
        files: As `public_files` returns them.
        folder: Where they come from; its path is searched for too.

    Raises:
        ValueError: naming the file and the kind of what it holds; a secret itself is not repeated.
    """
    from huggingface_hub import get_token

    words = [get_token() or "", *(value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name))]
    secrets = [word for word in words if len(word) >= 8 and "/" not in word and not word.isdigit()]
    # `_PATH` sees no path where one follows a colon or a word, as in file:///home/me
    homes = {Path.home(), Path.cwd(), Path(tempfile.gettempdir()), folder.resolve()} - {Path("/")}
    places = sorted(f"{place}/" for place in homes)
    for name, content in files.items():
        if not name.endswith((".md", ".json", ".jsonl", ".yaml")):
            continue
        text = (content.read_bytes() if isinstance(content, Path) else content).decode("utf-8", errors="ignore")
        if any(word in text for word in secrets):
            raise ValueError(
                f"{name} holds a secret of this machine (a token or password); nothing was pushed, take it out first."
            )
        if _SECRETS.search(text):
            raise ValueError(f"{name} holds what looks like a token; nothing was pushed, take it out first.")
        found = _PATH.search(text)
        if shown := found[0] if found else next((place for place in places if place in text), None):
            raise ValueError(f"{name} names {shown!r}, a path of this machine; nothing was pushed, take it out first.")
