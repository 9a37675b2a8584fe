"""The clearing houses' models: from positions to the margin V of each portfolio and its parts."""
