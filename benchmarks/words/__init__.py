"""Rankings of words: a text set relabelled word by word, and the order that probes on held-out sentences have."""
