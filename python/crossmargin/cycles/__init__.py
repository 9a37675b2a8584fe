"""Rules that look back over days and cycles."""
