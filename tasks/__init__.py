"""How a step runs under Prefect."""
