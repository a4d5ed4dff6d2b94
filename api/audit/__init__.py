"""`/v1/audit`."""
