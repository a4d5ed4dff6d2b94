"""Every architecture of the kept libraries, tiny with random weights, read by the product and by its own library."""
