"""What a tuning writes: the model in its library's own form, ONNX, cards. Imports torch."""
