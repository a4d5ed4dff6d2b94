"""`/v1/tunings`."""
