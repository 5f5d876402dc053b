"""What the tests of the command share."""

import pytest

from isthmus.cli import main


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and returns exit code, stdout and stderr."""

    def run(*args):
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return code, out, err

    return run
