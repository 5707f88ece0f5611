"""Room of the parallel runner: what runs the commands of stages on several workers; it knows no DVC."""
