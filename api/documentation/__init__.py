"""`/docs`: the HTTP interface as a page on which it can be tried; it loads nothing from anywhere else."""
