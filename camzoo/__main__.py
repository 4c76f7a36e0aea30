"""``python -m camzoo``: the command line, wherever camzoo can be imported."""

from camzoo.cli import main

if __name__ == "__main__":
    main()
