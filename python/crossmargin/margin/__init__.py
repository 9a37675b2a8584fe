"""Both clearing houses' models: positions in, V of each pot and what it is made of out."""
