"""Pictures of a solution beside its frames, with the figures that tell its quality."""
