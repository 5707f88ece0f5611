"""params.yaml: its schema, presets, and checks before a run."""
