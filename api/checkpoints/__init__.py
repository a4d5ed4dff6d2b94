"""`/v1/checkpoints`."""
