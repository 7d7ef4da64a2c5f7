"""The local sandbox: bubblewrap, started and watched by one small process beside the app.

    app process                                    launcher process (one thread)              one sandbox per run
    Sandbox.run() ── Start ──────────────────────> queue ── Job ── bwrap ───────────────────> gate ── program
                  <── Queued, StageChanged,  ──── output, watcher, limits, result files <──── stdout, stderr
                      OutputChunk, RunResult

The launcher ends with the app, however that ends, and every sandbox ends with the launcher.
"""

from codecoach.runner.sandbox.adapter import Sandbox

__all__ = ["Sandbox"]
