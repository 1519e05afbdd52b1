"""A supervised peer: a compact graph network (ST-GCN, CTR-GCN) trained from scratch on the clips of a protocol.

    python benchmarks/peer.py --data nw_ucla_xview --data_dir DIR --threads 1 --precision bf16

Writes results.json (setting "supervised", encoder "untrained"), summary.json (accuracy and measured cost), run.yaml and
scores.safetensors into the output folder. With --validate, whole training subjects are held out, and where the test camera is new, a
training camera plays it: choose settings with that, and read the test split once. `--help` lists every setting.
"""

from __future__ import annotations

from peers.running import peer_run
from peers.training import PeerArguments

from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    peer_run(parse(PeerArguments, description=__doc__))


if __name__ == "__main__":
    run_main(main)
