"""``python -m hven``: the command, where a Python is at hand and its scripts are not on the path."""

from hven.cli import main

if __name__ == "__main__":
    main()
