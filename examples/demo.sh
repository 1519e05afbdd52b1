#!/bin/sh
# `make demo`: the whole chain on synthetic people, or on real ones with a protocol and a folder.
#   sh examples/demo.sh synthetic_xsub
#   sh examples/demo.sh nw_ucla_xview path/to/NW-UCLA
set -eu
dataset=${1:-synthetic_xsub}
data=${2:-}
work=runs/demo_data

mkdir -p runs
if [ -z "$data" ]; then
    case $dataset in
    synthetic_*) ;;
    *) echo "demo: $dataset needs its raw files: make demo DATASET=$dataset DATA=path/to/them" >&2; exit 2 ;;
    esac
    data=$work/skeletons
    rm -rf "$data"
    echo "== 1. Raw skeleton files: synthetic people, written as NTU .skeleton files"
    python -m s2i_hf.synthetic.people --output "$data" --subjects 10 --replications 2 --seed 0
else
    echo "== 1. Raw skeleton files: $dataset"
fi

echo "== 2. Skeleton arrays: read, split by the protocol, converted once"
s2i convert "$dataset" --data-dir "$data" --output $work/converted --format arrow --overwrite

echo "== 3-5. S2I images, masks and a small ViT-MAE"
python examples/pretrain_mae.py --config examples/configs/demo.yaml --progress false

echo "== 6-7. Probe and card"
python examples/probe.py --model runs/demo --data $work/converted --copies 1 --pooling part

echo "== Everything again from the files, in a fresh process"
python examples/quickstart.py --model runs/demo --data $work/converted

echo "== Done. See runs/demo/README.md, results.json and reconstruction.png"
