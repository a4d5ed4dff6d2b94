"""Methods of tuning compared on the pack."""
