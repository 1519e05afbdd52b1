"""Many runs or models compared: ablation, robustness, fusion, across joint layouts."""
