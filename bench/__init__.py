"""Measurements, side by side, and years of the gate. Each module prints a table; none is a test: machines differ."""
