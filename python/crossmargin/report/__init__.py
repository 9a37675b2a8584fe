"""What people read: summaries and progress on the terminal."""
