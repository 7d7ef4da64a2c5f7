#!/usr/bin/env bash
# Builds a Lua runtime into $PREFIX: Lua with its cjson, lfs and lpeg modules, out of Debian's packages.
set -euo pipefail
. ./debian.sh

debian_unpack "$PREFIX" lua5.4 lua-cjson lua-filesystem lua-lpeg
ln -s lua5.4 "$PREFIX/usr/bin/lua"
LD_LIBRARY_PATH=$PREFIX/libraries "$PREFIX/usr/bin/lua" -v | cut -d ' ' -f 2 >"$PREFIX/VERSION"
