"""FICC's model: value at risk, its floor and minimum, haircuts."""
