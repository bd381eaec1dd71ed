"""Pure metrics on numpy arrays."""
