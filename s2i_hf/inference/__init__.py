"""What a trained model does with recordings: predict, infill, export."""
