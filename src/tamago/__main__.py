"""`python -m tamago` is the command `tamago`."""

from tamago.cli.main import main

if __name__ == "__main__":
    main()
