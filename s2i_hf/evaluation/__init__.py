"""How good frozen features and classifiers are: probes, validation splits, metrics."""
