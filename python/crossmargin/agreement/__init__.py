"""The agreement: who and what is in, what is saved, and what is required."""
