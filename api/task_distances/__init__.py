"""`/v1/task-distances`."""
