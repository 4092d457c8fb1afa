"""What runs: one file for each deployable flow. A flow reads as a table of contents of `tasks`."""
