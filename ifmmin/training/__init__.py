"""Training: batches, devices, the training loop, checkpoints, prediction, weights and histories."""
