"""Rankings and tunings as pages: the style, the charts, and reports in one file that open without a network."""
