"""Fast CPU kernels of the two encoder types."""
