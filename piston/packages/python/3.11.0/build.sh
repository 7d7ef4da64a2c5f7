#!/usr/bin/env bash
# Builds a Python runtime into $PREFIX: an isolated environment (PEP 405) over an interpreter of 3.11 or newer, with the
# packages of requirements.txt, compiled in advance because programs cannot write there.
set -euo pipefail

# The system's interpreter is where every sandbox sees it. Any other is copied, since its home may be out of reach.
find_system_python() {
    for candidate in /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
        if [ -x "$candidate" ] && "$candidate" -c 'import ssl, sqlite3, ctypes, lzma, bz2' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

copy_python() {
    local home
    home=$("$PYTHON" -c 'import sys; assert sys.version_info >= (3, 11); print(sys.base_prefix)')
    local version
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mkdir -p "$PREFIX/interpreter/bin" "$PREFIX/interpreter/lib"
    cp "$home/bin/python$version" "$PREFIX/interpreter/bin/"
    cp -P "$home"/lib/libpython*.so* "$PREFIX/interpreter/lib/" 2>/dev/null || true
    cp -R "$home/lib/python$version" "$PREFIX/interpreter/lib/"
    rm -rf "$PREFIX/interpreter/lib/python$version/site-packages" "$PREFIX/interpreter/lib/python$version/test"
    echo "$PREFIX/interpreter/bin/python$version"
}

: "${PYTHON:=python3}" # a Python with pip, for installing only
interpreter=$(find_system_python)
[ -n "$interpreter" ] || interpreter=$(copy_python)
version=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

mkdir -p "$PREFIX/bin"
# Relative where it was copied: the runtime is moved after the build.
ln -s "$(case "$interpreter" in "$PREFIX"/*) echo "../${interpreter#"$PREFIX"/}" ;; *) echo "$interpreter" ;; esac)" "$PREFIX/bin/python3"
ln -s python3 "$PREFIX/bin/python"
ln -s python3 "$PREFIX/bin/python$version"
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$interpreter")" >"$PREFIX/pyvenv.cfg"

site="$PREFIX/lib/python$version/site-packages"
"$PYTHON" -m pip --python "$PREFIX/bin/python3" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --no-warn-script-location --target "$site" -r requirements.txt
cp sitecustomize.py codecoach_plots.py "$site/"
"$PREFIX/bin/python3" -m compileall -q "$site" >/dev/null || true

# matplotlib looks through all fonts at its first start, which takes seconds: programs find the result here.
mkdir -p "$PREFIX/share/matplotlib"
HOME=/nonexistent MPLCONFIGDIR="$PREFIX/share/matplotlib" "$PREFIX/bin/python3" -c 'import matplotlib.font_manager'

"$PREFIX/bin/python3" -c 'import platform; print(platform.python_version())' >"$PREFIX/VERSION"
"$PREFIX/bin/python3" -c 'import boto3; print("boto3", boto3.__version__)' >"$PREFIX/SDK"
# An environment names its interpreter by path: from here on by the one that programs see.
sed -i "s|$PREFIX|${MOUNT:-$PREFIX}|" "$PREFIX/pyvenv.cfg"
