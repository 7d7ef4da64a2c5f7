"""`python -m codecoach`: the command line."""

from codecoach.cli import main

main()
