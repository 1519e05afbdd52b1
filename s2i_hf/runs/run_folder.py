"""What a run left in its folder, for those who write about it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..models.vision_weights import TERMS, is_vision
from ..utils.files import write_atomically

METRICS_FILE = "metrics.jsonl"
PUSHED = "hub.json"  # in a run folder: where it was pushed to
# Meta's masked-autoencoder weights, on the Hub or in a local copy
_VIT_MAE = re.compile(r"(^|/)vit-mae-(base|large|huge)(/|$)")


class MetricsFile:
    """`metrics.jsonl`: first a row about the run, then a row every `log_every` optimizer steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """All whole rows; one that a kill cut short is left out."""
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return [row for row in rows if isinstance(row, dict)]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it is in the file when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def keep_until(self, step: int) -> None:
        """Drop rows after `step`, in one step: a resumed run writes them again."""
        rows = [row for row in self.rows() if row.get("step", 0) <= step]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows))


class RunFolder:
    """What the files of a run folder say; a file that is absent says nothing. Raises ValueError if one is not JSON.

    Read are run.yaml (`settings`), data.json, config.json, preprocessor_config.json (`processor`), summary.json, metrics.jsonl (`start` and
    `metrics`), results.json, per_class.json, reconstruction.json (`picture`), robustness.json, fusion.json and cost.json.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir
        self.title = run_dir.resolve().name
        self.settings = self._yaml("run.yaml")
        self.data, self.config, self.processor = map(self._json, ("data", "config", "preprocessor_config"))
        self.summary, self.picture, self.per_class = map(self._json, ("summary", "reconstruction", "per_class"))
        self.robustness, self.fusion, self.cost = map(self._json, ("robustness", "fusion", "cost"))
        rows = self._json("results")
        self.results: list[dict[str, Any]] = rows if isinstance(rows, list) else []
        rows = MetricsFile(run_dir / METRICS_FILE).rows()
        self.start: dict[str, Any] = next((row for row in rows if row.get("event") == "start"), {})
        steps = [row for row in rows if "loss" in row and "step" in row]
        self.metrics: list[dict[str, Any]] = sorted(steps, key=lambda row: row["step"])

    def _json(self, name: str) -> Any:
        path = self.path / f"{name}.json"
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{path} is not JSON; move it away and run the step that writes it again.") from None

    def _yaml(self, name: str) -> dict[str, Any]:
        import yaml

        path = self.path / name
        values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return values if isinstance(values, dict) else {}

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    @property
    def origin(self) -> str:
        """What the weights started from: "config:small", "vision:tiny", a Hub id, or the name of a local folder."""
        return str(self.settings.get("model") or "")

    @property
    def is_finetuned(self) -> bool:
        """Whether a fine-tuning wrote the folder, and not a pretraining."""
        return "layer_decay" in self.settings

    @property
    def is_fusion(self) -> bool:
        """Whether it holds the numbers of several models together, and no model."""
        return bool(self.fusion) and not self.settings and not self.config

    @property
    def starts_untrained(self) -> bool:
        """Whether it took over no weights: from a size (`config:small`), or only the architecture of a model (`--encoder untrained`)."""
        return _starts_untrained(self.settings)

    @property
    def origin_folder(self) -> Path | None:
        """The folder on this machine that the weights came from, None if it is not found: it may be a Hub id, or have been moved.

        It is looked for where the settings name it and beside this run, so that folders may move together. A name that could be a
        repository's is taken for a folder beside this run only if the folder above is called as the name says.
        """
        if not self.origin or self.origin.startswith("config:") or is_vision(self.origin):
            return None
        named, here = Path(self.origin).expanduser(), self.path.resolve()
        local = hub_id(self.origin) is None or here.parent.name == named.parent.name
        for path in (named, *([here.parent / named.name] if local else [])):
            files = [path / name for name in ("run.yaml", "config.json", "README.md")]
            if path.resolve() != here and any(file.is_file() for file in files):
                return path
        return None

    @cached_property
    def lineage(self) -> list[RunFolder]:
        """This run and the folders it went on from, latest first, as far as weights were loaded and the folders are here."""
        found, places = [self], {self.path.resolve()}
        while not found[-1].starts_untrained:
            folder = found[-1].origin_folder
            if folder is None or folder.resolve() in places:
                break
            places.add(folder.resolve())
            found.append(RunFolder(folder))
        return found

    @cached_property
    def origins(self) -> list[str]:
        """What the weights went on from, latest first, down to a Hub id or "vision:tiny"; [] from scratch.

        Where a folder of the way is gone or on another machine, what the run next to it wrote down at its start (`started_from`).
        """
        names = [run.origin for run in self.lineage if run.origin and not run.starts_untrained]
        last = self.lineage[-1]
        return [*names, *(last.start.get("started_from") or [])[1:]] if not last.starts_untrained else names

    @property
    def repository(self) -> str | None:
        """Where the folder was pushed to, None if it was not."""
        found = self._json(Path(PUSHED).stem)
        name = found.get("repository") if isinstance(found, dict) else None
        return name if isinstance(name, str) else None

    @cached_property
    def base_model(self) -> str | None:
        """Hub id of the model whose weights it went on from; None if there is none, or it is in a folder that was never pushed."""
        for run in self.lineage:
            if run is not self and run.repository:
                return run.repository
            if run.starts_untrained:
                return None
            if run.origin_folder is None:
                return hub_id(run.origin)
        return None

    @property
    def licence(self) -> str | None:
        """The licence of the weights as the Hub names it: `terms`, where those of `vision:tiny` are "other"."""
        return "other" if self.has_vision_terms else self.terms

    @property
    def has_vision_terms(self) -> bool:
        """Whether the terms of the weights that come with the package hold, for non-commercial research and education only."""
        return self.terms == TERMS

    @cached_property
    def terms(self) -> str | None:
        """apache-2.0 from scratch, cc-by-nc-4.0 for Meta's MAE weights, `vision_weights.TERMS` for those of the package, and so for what is
        derived from either; else what the start says.

        None if the start says nothing. The start is a folder, whose own start or card is asked, or a repository, whose card is.
        """
        if any(map(is_vision, self.origins)):
            return TERMS
        if any(map(_VIT_MAE.search, self.origins)):
            return "cc-by-nc-4.0"
        for run in self.lineage:
            if run.origin and run.starts_untrained:
                return "apache-2.0"
            if run.origin_folder is None and (name := hub_id(run.origin)):
                # the Hub may be out of reach now: what the card that is there says, if it is about the same start
                before = run._said_terms() if run._front_matter("base_model") == name else None
                return _licence_on_hub(name) or before
        return next((found for run in self.lineage[1:] if (found := run._said_terms())), None)

    def _said_terms(self) -> str | None:
        """The terms that the folder's card says."""
        return TERMS if self._front_matter("license_name") == TERMS else self._front_matter("license")

    def _front_matter(self, key: str) -> str | None:
        """A value of one word in the front matter of README.md."""
        path = self.path / "README.md"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        found = re.match(rf"---\n(?:(?!---\n).*\n)*?{key}: *([\w./+-]+) *\n", text)
        return found[1] if found else None


def started_from(settings: Mapping[str, Any]) -> list[str]:
    """What a run of these settings goes on from, as `RunFolder.origins` has it, for the row about its start; of folders the last part."""
    model = str(settings.get("model") or "")
    if not model or _starts_untrained(settings):
        return []
    folder = Path(model).expanduser()
    names = [str(folder.resolve()), *RunFolder(folder).origins] if folder.is_dir() else [model]
    return [hub_id(name) or Path(name).name for name in names]


def _starts_untrained(settings: Mapping[str, Any]) -> bool:
    return str(settings.get("model") or "").startswith("config:") or settings.get("encoder") == "untrained"


def hub_id(name: str) -> str | None:
    """`name` without its revision if it can be a repository of the Hub; None if it is a size, a protocol or a folder."""
    repository = name.partition("@")[0]
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", repository, re.ASCII) or repository.startswith("runs/"):
        return None
    return None if Path(name).exists() or re.search(r"--|\.\.", repository) else repository


def _licence_on_hub(name: str) -> str | None:
    """Licence id in the card of a repository, `TERMS` if it names these; None if it has none or cannot be asked."""
    from huggingface_hub import HfApi

    try:
        card: Any = HfApi().model_info(name, timeout=5).card_data
        found = card.get("license") if card is not None else None
        if card is not None and card.get("license_name") == TERMS:
            return TERMS
    except Exception:  # no network, no such repository, not ours: then the licence is not known
        return None
    return found if isinstance(found, str) and re.fullmatch(r"[a-z0-9.+-]+", found) else None
