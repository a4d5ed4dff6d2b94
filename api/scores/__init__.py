"""`/v1/scores`."""
