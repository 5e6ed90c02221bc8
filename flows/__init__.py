"""What happens, in order: one file per flow."""
