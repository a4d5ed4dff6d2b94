"""Which mutations of the formulas no test notices; `make mutants` prints them."""
