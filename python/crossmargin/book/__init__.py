"""The client book: input schemas, exceptions, trades, and netting."""
