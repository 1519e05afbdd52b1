"""What a run left in its folder, for those who write about it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

# Meta's masked-autoencoder weights, on the Hub or in a local copy
_VIT_MAE = re.compile(r"(^|/)vit-mae-(base|large|huge)(/|$)")


class RunFolder:
    """What the files of a run folder say; a file that is absent says nothing.

    Args:
        run_dir: The folder. Read are run.yaml (`settings`), data.json, config.json, preprocessor_config.json, summary.json, metrics.jsonl
            (`start` and `metrics`), results.json, per_class.json and reconstruction.json (`picture`).

    Raises:
        ValueError: a file is not JSON.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir
        self.title = run_dir.resolve().name
        self.settings = self._yaml("run.yaml")
        self.data = self._json("data.json")
        self.config = self._json("config.json")
        self.processor = self._json("preprocessor_config.json")
        self.summary = self._json("summary.json")
        self.picture = self._json("reconstruction.json")
        self.per_class = self._json("per_class.json")
        rows = self._json("results.json") or []
        self.results: list[dict[str, Any]] = list(rows) if isinstance(rows, list) else []
        self.start: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] = []
        for row in self._lines("metrics.jsonl"):
            if row.get("event") == "start":
                self.start = row
            elif "loss" in row and "step" in row:
                self.metrics.append(row)
        self.metrics.sort(key=lambda row: row["step"])

    def _json(self, name: str) -> Any:
        path = self.path / name
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

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path, rows = self.path / name, []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed
            if isinstance(row, dict):
                rows.append(row)
        return rows

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    @property
    def origin(self) -> str:
        """What the weights started from: "config:small", a Hub id, or the name of a local folder."""
        return str(self.settings.get("model") or "")

    @property
    def is_finetuned(self) -> bool:
        """Whether a fine-tuning wrote the folder, and not a pretraining."""
        return "layer_decay" in self.settings

    @property
    def licence(self) -> str | None:
        """apache-2.0 from scratch, cc-by-nc-4.0 for Meta's MAE weights and what is derived from them, else what the start says."""
        if not self.origin or self.origin.startswith("config:"):
            return "apache-2.0" if self.origin else None
        if _VIT_MAE.search(self.origin):
            return "cc-by-nc-4.0"
        readme = Path(self.origin) / "README.md"  # the card of the run that this one went on from
        if not readme.is_file():
            return None
        found = re.search(r"^license: *([\w.-]+)", readme.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return found[1] if found else None
