"""Benchmarks of reading: speed, padding, memory, and the ranking of text encoders."""
