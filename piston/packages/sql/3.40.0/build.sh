#!/usr/bin/env bash
# Builds an SQL runtime into $PREFIX: SQLite's shell, out of Debian's packages.
set -euo pipefail
. ./debian.sh

debian_unpack "$PREFIX" sqlite3
LD_LIBRARY_PATH=$PREFIX/libraries "$PREFIX/usr/bin/sqlite3" --version | cut -d ' ' -f 1 >"$PREFIX/VERSION"
