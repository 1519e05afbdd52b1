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

from ..models.registration import own_classes
from ..models.vision_weights import terms_text
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..runs.provenance import ENVIRONMENT, describe_environment
from ..runs.run_folder import RunFolder
from ..utils.arguments import SETTINGS_HEADER
from .card_sections import origin_repository
from .markdown import front_matter_yaml, render
from .model_card import LICENCE, render_card
from .remote_code import PROCESSOR_CLASS, code_files, custom_pipelines, with_code

logger = logging.getLogger(__name__)

Files = dict[str, bytes | Path]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ONNX = "model.onnx"
_FACTS = ("data", "summary", "results", "per_class", "reconstruction", "robustness", "fusion", "cost")
_JSON = tuple(f"{name}.json" for name in _FACTS)
_PICTURES = ("confusion.png", "curve.png", "reconstruction.png")
_CONFIGS = ("config.json", "preprocessor_config.json")
# Every name a push may have written, so that the next one can delete what is no longer there.
NAMES = {WEIGHTS, INDEX, ONNX, ENVIRONMENT, "README.md", "run.yaml", "metrics.jsonl", *_CONFIGS, *_JSON, *_PICTURES}
# Settings that are folders of this machine or say how to go on here; null or a default in a pushed run.yaml.
_LOCAL_SETTINGS: dict[str, Any] = dict.fromkeys(("data_dir", "cache_dir", "results_csv", "push_to_hub"))
_LOCAL_SETTINGS |= {"resume": "none", "overwrite": False}
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
    """The files of the folder of a finished pretraining or fine-tuning as they are pushed to "user/name", looked through.

    Returns:
        Name in the repository -> content, or the path of a file that goes as it is. config.json, preprocessor_config.json, README.md and
        the weights are always there; LICENSE where the terms of `vision:tiny` hold; run.yaml, results and pictures as far as the run left
        them; environment.json; code files; model.onnx if it was made of this very model, and not of an earlier one.

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
    files |= {name: _json_bytes(_public(_read_json(run_dir / name))) for name in _JSON if run.has(name)}
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
            logger.warning("%s is of other weights or settings and stays; `s2i export --overwrite` renews it.", ONNX)
    files["README.md"] = _card(run, repository).encode()
    if run.has_vision_terms:
        files[LICENCE] = terms_text().encode()
    files |= {name: text.encode() for name, text in code_files(run.config).items()}
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
    names = (*_CONFIGS, WEIGHTS, INDEX)
    for path in [*(folder / name for name in names), *sorted(folder.glob("model-*-of-*.safetensors"))]:
        if path.is_file():
            digest.update(f"{path.name} {digest_of(path)}\n".encode())
    return digest.hexdigest()


def is_fresh_export(file: Path, folder: Path) -> bool:
    """Whether an exported file is whole and of the model that is in the folder now, by its sidecar."""
    try:
        said = _read_json(sidecar(file))
        return bool(said["source_sha256"] == digest_of_model(folder) and said["file_sha256"] == digest_of(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_files(files: Files, folder: str | Path) -> None:
    """Write the files of `public_files` into a new or empty folder (else a ValueError), to look at or to load."""
    folder = Path(folder).expanduser()
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; expected a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)


# -- what goes in ------------------------------------------------------------------------------------------------------


def _weights(run_dir: Path) -> Files:
    names = [WEIGHTS]
    if (run_dir / INDEX).is_file():
        try:
            names = [INDEX, *sorted(set(_read_json(run_dir / INDEX)["weight_map"].values()))]
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ValueError(f"{run_dir / INDEX} is no index of weights; save the model again.") from None
    if not all((run_dir / name).is_file() for name in ("config.json", *names)):
        if any(run_dir.glob("pytorch_model.bin*")):
            raise ValueError(f"{run_dir} holds its weights as a pickle, which can run code; use save_pretrained.")
        raise ValueError(f"{run_dir} has no config.json with {names[-1]}; expected a run that has ended.")
    if any(Path(name).name != name for name in names):
        raise ValueError(f"{run_dir / INDEX} names weights outside its folder; save the model again.")
    return {name: run_dir / name for name in names}


def _configs(run: RunFolder) -> Files:
    if run.processor.get("image_processor_type") != "SkeletonProcessor":
        wanted = "preprocessor_config.json of a SkeletonProcessor"
        raise ValueError(f"{run.path} has no {wanted}, without which nobody can use its model.")
    if (layout := run.processor.get("layout")) is not None:
        try:
            SkeletonProcessor.from_dict({"layout": layout})
        except ValueError as error:
            raise ValueError(f"{run.path}{os.sep}{error}") from None  # names the file
    model = {**with_code(run.config, own_classes(run.config)), "custom_pipelines": custom_pipelines(run.config)}
    processor = with_code(run.processor, {"AutoImageProcessor": PROCESSOR_CLASS})
    return dict(zip(_CONFIGS, (_json_bytes(_public(model)), _json_bytes(_public(processor))), strict=True))


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
    trained = _read_json(run.path / ENVIRONMENT) if run.has(ENVIRONMENT) else {}
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
    metadata.base_model = metadata.base_model or run.base_model
    classifies = "ForImageClassification" in " ".join(run.config.get("architectures") or [])
    metadata.pipeline_tag = metadata.pipeline_tag or ("image-classification" if classifies else None)
    body, heading = card.text.lstrip(), "### How to reproduce"
    if "trust_remote_code" not in body:
        usage = render("without_package.md.j2", repository=repository, classifies=classifies)
        body = body.replace(heading, f"{usage}\n{heading}", 1)
    return f"---\n{front_matter_yaml(metadata.to_dict())}---\n\n{body}"


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


# -- what must not go in -----------------------------------------------------------------------------------------------


def check_public(files: Files, folder: Path) -> None:
    """Refuse texts that name a path of this machine or hold a secret: a card may say anything, weights and pictures are ours.

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
        found = _PATH.search(text)
        path = found[0] if found else next((place for place in places if place in text), None)
        if any(word in text for word in secrets):
            wrong = "holds a secret of this machine (a token or password)"
        elif _SECRETS.search(text):
            wrong = "holds what looks like a token"
        elif path:
            wrong = f"names {path!r}, a path of this machine"
        else:
            continue
        raise ValueError(f"{name} {wrong}; nothing was pushed, take it out first.")
