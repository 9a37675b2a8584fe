"""Questions about accounts of a finished run: what a trade would change."""
