"""`s2i probe`."""

from __future__ import annotations

from ..evaluation.probing import ProbeArguments, probe_run


def probe(arguments: ProbeArguments) -> None:
    """Frozen features.

    s2i probe --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR

    Settings are chosen on held-out training people; test labels are only counted. Writes results.json, per_class.json, confusion.png
    and README.md into the run folder.
    """
    print(f"Done: {probe_run(arguments)['run_dir']}/README.md")
