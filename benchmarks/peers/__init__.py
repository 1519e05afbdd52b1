"""Supervised networks that read joints and no image: what a skeleton transformer has to be compared with."""
