"""Pages in a real browser: pictures of every one, and how fast charts are."""
