"""The parts of an explanation: what each is computed from."""
