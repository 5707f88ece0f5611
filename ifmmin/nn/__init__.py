"""Networks and losses: tensors in, tensors out. docs/symbols.md lists the symbols."""
