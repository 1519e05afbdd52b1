"""Rows of skeletons: converted, stored, loaded, mixed, drawn and collated."""
