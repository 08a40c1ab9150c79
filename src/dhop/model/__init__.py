"""The definition of an operator as index tables and taps: axes, boundaries, decimation."""
