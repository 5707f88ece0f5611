"""Copies of the training history for TensorBoard or MLflow; no result depends on them."""
