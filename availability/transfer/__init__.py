"""Moving bytes from a source into staging, and proving them on the way."""
