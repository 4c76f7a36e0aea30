"""``python -m camzoo``: the command line, wherever camzoo can be imported."""

from camzoo.cli.app import main

if __name__ == "__main__":
    main()
