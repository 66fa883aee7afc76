"""The contenders: one module per peer, each function one way to do a piece of work."""
