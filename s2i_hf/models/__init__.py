"""Models: stock ViTMAE with proper positions. Only what transformers does not have is defined here."""
