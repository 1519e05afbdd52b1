"""Skeleton array -> S2I image and mask; the folder whose files lie beside a pushed model."""
