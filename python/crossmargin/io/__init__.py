"""Read input files and tables, and write results."""
