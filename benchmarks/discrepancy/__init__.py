"""Commands that print the figures of docs/theory.md."""
