"""`python -m piston`."""

from piston.cli import app

app(prog_name="python -m piston")
