"""The version of the package; the build reads it here, and a run need not look it up on disk."""

__version__ = "0.1.0"
