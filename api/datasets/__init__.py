"""`/v1/datasets`."""
