"""Speed of reading features: `python -m benchmarks.extraction`."""
