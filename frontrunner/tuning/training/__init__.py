"""The training loop, what a method is to it, and what it keeps. Imports torch."""
