"""`/v1/rankings`."""
