"""`s2i probe`."""

from __future__ import annotations

from ..data.loading import load_skeletons
from ..evaluation.probing import ProbeArguments, load_model_and_processor, probe_run


def probe(arguments: ProbeArguments) -> None:
    """Frozen features.

    s2i probe --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR

    Settings are chosen on held-out training people; test labels are only counted. Writes results.json, per_class.json, confusion.png
    and README.md into the run folder.
    """
    dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    model, processor = load_model_and_processor(arguments.model)
    summary = probe_run(arguments, model, processor, dataset)
    print(f"Done: {summary['run_dir']}/README.md")
