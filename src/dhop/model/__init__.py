"""What an operator is, as integers and taps: axes, boundaries, decimation. No algorithm."""
