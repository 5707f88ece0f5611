"""Room of mathematics: tensors in, tensors out. The symbols are those of the README, section Symbols."""
