"""Groups of the command line that are large enough for a module of their own; ``cli.py`` puts them together."""
