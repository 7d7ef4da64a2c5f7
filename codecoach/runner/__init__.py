"""Running programs: the port, the local sandbox, Piston."""
