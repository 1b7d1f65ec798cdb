"""What `python -m benchmarks` measures: one file for each row of the table, and what all rows share."""
