"""Side-by-side measurements. Each module prints a table of ratios; none is a test, since machines differ."""
