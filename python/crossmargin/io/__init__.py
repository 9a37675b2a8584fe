"""The two ends of the way of the data: files and tables in, results out."""
