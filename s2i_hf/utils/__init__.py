"""Settings from flags and YAML, files that are whole or not there, and what the Hub refused in one sentence."""
