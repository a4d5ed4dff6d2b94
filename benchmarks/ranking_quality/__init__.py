"""Whether rankings tell the truth: ground truth on the pack, and how well each score orders it."""
