"""The way out of a sandbox to AWS's endpoints, and to nothing else: a process of its own for each run.

    program ── name? ──> dns.py      every allowed name is 127.0.0.1, no other exists
    program ── TLS ────> relay.py    reads the server name of the hello (hello.py), checks it (names.py),
                                     looks it up once (addresses.py) and passes the bytes on, still encrypted

It holds no credentials and cannot read what it passes on. What it takes apart is written by strangers, so that it runs
apart from the launcher, as the sandboxes' user where the launcher is root.
"""
