"""Card templates and the table of measured numbers, installed as `s2i_hf.model_cards` and read as package resources."""
