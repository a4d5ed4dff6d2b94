"""Rankings under a budget: how scores grow with the sample, and whether a race keeps the winner."""
