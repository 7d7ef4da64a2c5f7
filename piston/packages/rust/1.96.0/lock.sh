#!/usr/bin/env bash
# lock.sh: writes Cargo.lock anew from Cargo.toml, without the address of the registry, which every line would repeat.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
cp Cargo.toml crates.rs "$work"
(cd "$work" && cargo generate-lockfile --quiet)
grep -v '^source = ' "$work/Cargo.lock" >Cargo.lock
rm -r "$work"
