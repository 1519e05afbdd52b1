"""Figures: curves, skeletons, reconstructions, filled gaps, layouts."""
