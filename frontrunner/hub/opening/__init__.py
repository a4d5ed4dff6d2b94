"""From a directory to an opened checkpoint. Imports torch."""
