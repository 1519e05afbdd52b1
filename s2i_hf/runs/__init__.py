"""What a run folder holds: checkpoints, results, where they come from."""
