"""Room of the export: a trained system as an ONNX graph, its check, and its model card."""
