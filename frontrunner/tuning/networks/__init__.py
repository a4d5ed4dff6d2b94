"""Checkpoints with a new head, ready to be trained. Imports torch."""
