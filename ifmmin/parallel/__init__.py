"""The parallel runner: runs the stages of dvc.yaml on several workers."""
