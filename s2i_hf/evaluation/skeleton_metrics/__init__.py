"""Accuracies as a metric of the `evaluate` library; the folder is also what a Space of such a metric looks like, ready to be pushed."""
