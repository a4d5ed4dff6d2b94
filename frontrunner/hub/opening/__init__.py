"""From a folder to an opened checkpoint. Imports torch."""
