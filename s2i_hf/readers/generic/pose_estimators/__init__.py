"""Readers of what pose estimators and depth cameras write."""
