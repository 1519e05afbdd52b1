"""Readers of general formats: arrays, tables, keypoints and motion capture, in folders of custom data."""
