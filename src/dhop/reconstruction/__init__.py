"""The parts that a super-resolution is made of: the problem, its solvers, what it gives."""
