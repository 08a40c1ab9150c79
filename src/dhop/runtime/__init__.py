"""Running code: checks of arguments, threads, memory, progress, optional packages."""
