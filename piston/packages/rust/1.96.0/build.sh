#!/usr/bin/env bash
# Builds a Rust runtime into $PREFIX: the compiler out of Debian's packages, the crates of Cargo.toml compiled in advance, and
# a fast linker. Programs need no cargo: `compile` hands them to the compiler directly.
set -euo pipefail
. ./debian.sh

jobs=${JOBS:-$(nproc)}
target=${CARGO_TARGET_DIR:-$PWD/target} # crates compiled by an earlier build of the same compiler are taken from there
tools=$PWD/tools
machine=$(uname -m)

# --- Compiler, linker, C compiler for crates with C in them -------------------------------------------------------------

debian_unpack "$tools" rustc-web cargo-web mold gcc gcc-12 cpp-12 binutils "binutils-${machine/_/-}-linux-gnu" libc6-dev linux-libc-dev libgcc-12-dev
libraries=$(readlink "$tools/libraries")
triplet=$(basename "$libraries")

# What linking needs of the system's C library, at the places that the linker looks in below a root of its own.
link_system() { # link_system ROOT
    mkdir -p "$1/lib/$triplet" "$1/lib64"
    for file in libc.so.6 libm.so.6 libmvec.so.1 libgcc_s.so.1; do ln -sf "/lib/$triplet/$file" "$1/lib/$triplet/$file"; done
    ln -sf "$(echo /lib*/ld-linux-*.so.[0-9])" "$1/lib64/"
    ln -sf "$(echo /lib*/ld-linux-*.so.[0-9])" "$1/lib/"
}
link_system "$tools"

for name in cc gcc; do
    printf '#!/bin/sh\nexport PATH=%s/usr/bin:$PATH LD_LIBRARY_PATH=%s\nexec %s --sysroot=%s "$@"\n' \
        "$tools" "$tools/$libraries" "$tools/usr/bin/gcc-12" "$tools" >"$tools/$name"
    chmod 755 "$tools/$name"
done

# --- Crates -------------------------------------------------------------------------------------------------------------

# The lock names no registry; cargo says which one it asks, when it makes a lock of its own.
run_cargo() {
    PATH=$tools:$tools/usr/bin:$PATH LD_LIBRARY_PATH=$tools/$libraries CARGO_TARGET_DIR=$target \
        CC=$tools/cc AR=$tools/usr/bin/ar RUSTC=$tools/usr/bin/rustc cargo "$@"
}
mv Cargo.lock pinned.lock
run_cargo generate-lockfile --quiet
source=$(sed -n 's/^source = //p' Cargo.lock | sort -u | head -n 1)
sed "s|^checksum = |source = $source\n&|" pinned.lock >Cargo.lock

build=(build --locked --jobs "$jobs" --config "target.'cfg(unix)'.linker='$tools/cc'")
run_cargo "${build[@]}"
run_cargo "${build[@]}" --quiet --message-format json >messages # now only tells which files there are
"${PYTHON:-python3}" artifacts.py "${MOUNT:-$PREFIX}/crates" <messages

# --- What programs need of it -------------------------------------------------------------------------------------------

mkdir -p "$PREFIX/bin" "$PREFIX/lib" "$PREFIX/crates" "$PREFIX/system/usr/lib/$triplet"
cp "$tools/usr/bin/rustc" "$tools/usr/bin/mold" "$PREFIX/bin/"
cp -R "$tools/usr/lib/rustlib" "$PREFIX/lib/rustlib"
# The libraries of both that not every system has.
for program in rustc mold; do
    LD_LIBRARY_PATH=$tools/$libraries ldd "$tools/usr/bin/$program"
done | sed -n "s|.* => \($tools/[^ ]*\) .*|\1|p" | sort -u | xargs -I{} cp -L {} "$PREFIX/lib/"
xargs -d "\n" cp -t "$PREFIX/crates" <files
cp externs "$PREFIX/externs"

for file in crt1.o Scrt1.o crti.o crtn.o libc.so libc_nonshared.a libm.so libdl.a libpthread.a librt.a libutil.a; do
    cp -L "$tools/$libraries/$file" "$PREFIX/system/usr/lib/$triplet/"
done
cp "$tools"/usr/lib/gcc/*/12/{crtbeginS.o,crtendS.o,libgcc.a,libgcc_eh.a} "$PREFIX/system/usr/lib/$triplet/"
ln -s "/lib/$triplet/libgcc_s.so.1" "$PREFIX/system/usr/lib/$triplet/libgcc_s.so"
link_system "$PREFIX/system"
echo "$triplet" >"$PREFIX/system/triplet"

LD_LIBRARY_PATH=$PREFIX/lib "$PREFIX/bin/rustc" --version | cut -d ' ' -f 2 >"$PREFIX/VERSION"
echo "aws-sdk-s3 $(sed -n 's/^aws-sdk-s3 = .*"=\([0-9.]*\)".*/\1/p' Cargo.toml)" >"$PREFIX/SDK"
