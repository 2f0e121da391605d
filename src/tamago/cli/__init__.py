"""The command line: from arguments to a request, from an error to two lines and an exit code."""
