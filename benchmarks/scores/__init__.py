"""Time and memory of the scores; `python -m benchmarks.scores` prints the tables."""
