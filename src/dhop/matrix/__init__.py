"""The explicit matrix, row by row: built, merged, counted, written to files and opened."""
