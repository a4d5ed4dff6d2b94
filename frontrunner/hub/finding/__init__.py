"""Which checkpoints there are, and which of them a request means."""
