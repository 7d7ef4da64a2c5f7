"""For the person who owns a Piston: its packages built, indexed, mirrored, published, served and installed.

`python -m piston --help` lists the commands; docs/piston.md walks through them.
"""
