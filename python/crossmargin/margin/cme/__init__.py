"""CME's models: historical simulation and scan ranges."""
