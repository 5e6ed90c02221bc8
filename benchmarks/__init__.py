"""How fast and how lean it is, beside the unmodified client and curl. Run `python -m benchmarks`; see README.md."""
