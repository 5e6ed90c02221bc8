"""What people type: one file per command, flags in and words out."""
