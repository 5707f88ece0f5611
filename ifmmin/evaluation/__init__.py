"""Predictions for test utterances, with and without missing frames, and their H'."""
