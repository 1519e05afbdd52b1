"""A supervised peer: a graph network trained from scratch on the clips of a protocol, compact or of the size and kind of CTR-GCN.

    python benchmarks/peer.py --data nw_ucla_xview --data_dir DIR --threads 1 --precision bf16
    python benchmarks/peer.py --network ctrgcn --data nw_ucla_xview --data_dir DIR --threads 1
    python benchmarks/peer.py --network ctrgcn --data nw_ucla_xview --data_dir DIR --label_share 0.1 --label_seed 0

Each network comes with its own recipe; ctrgcn takes every clip of NW-UCLA 325 times, as its authors do: hours on one core. Ctrl-C or
SIGTERM leaves a checkpoint, as every five minutes do; the same command goes on from there. Writes results.json (setting "supervised", or
"semi_10" of 10 % of the labels; encoder "untrained"), summary.json (accuracy and measured cost), metrics.jsonl, run.yaml and
scores.safetensors into the output folder. With --validate, whole training subjects are held out, and where the test camera is new, a
training camera plays it: choose settings with that, and read the test split once. `--help` lists every setting.
"""

from __future__ import annotations

from peers.arguments import PeerArguments
from peers.running import peer_run

from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    peer_run(parse(PeerArguments, description=__doc__))


if __name__ == "__main__":
    run_main(main)
