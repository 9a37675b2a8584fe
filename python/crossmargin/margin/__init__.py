"""Both clearing houses' models: positions in, V of each portfolio and what it is made of out."""
