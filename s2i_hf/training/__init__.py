"""Pretraining by accelerate, fine-tuning by Trainer, and what both share."""
