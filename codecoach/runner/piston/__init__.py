"""The Runner port over one or several Pistons, as they are.

    Piston.run()                                          Piston                              its sandbox
    check ── queue ── a server with a free place ── init ──> websocket ── run ──> supervise.pl ──> program
          <── StageChanged, OutputChunk, RunResult  <── report, line by line  <──────┘   ^
    cancel() ── a second, tiny job over HTTP ─────────────> raises a flag in /dev/shm ──┘

Packages that `python -m piston build` or `codecoach` made have the supervisor (piston/supervisor). Packages without it run over
plain HTTP: output comes at the end, nothing but output comes back, and Stop leaves the job to its time limit.
"""

from codecoach.runner.piston.adapter import Piston

__all__ = ["Piston"]
