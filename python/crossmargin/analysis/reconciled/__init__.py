"""Parts of the reconciliation: what is compared, and why it breaks."""
