"""`/v1/quota`."""
