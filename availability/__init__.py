"""Keeps AI models available: the domain, with no orchestrator and no database."""
