"""Iterative solvers of linear equations, and rounds of them."""
