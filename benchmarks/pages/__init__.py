"""How fast pages of charts are, in a real browser."""
