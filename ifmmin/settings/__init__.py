"""params.yaml: its schema, presets, and what it tells before a run."""
