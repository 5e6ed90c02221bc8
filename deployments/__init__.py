"""How and where the pipeline is run."""
