"""How things run: checks of arguments, threads, memory, progress, optional packages."""
