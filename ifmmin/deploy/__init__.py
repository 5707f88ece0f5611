"""Inference on new utterances and export of trained models."""
