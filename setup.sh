#!/bin/sh
# Installs what CodeCoach needs: Debian packages, a virtual environment, and (through `codecoach setup`) the local model's
# weights and the language runtimes. Every step is skipped when it is already done, so a second call takes a second.
#
#   ./setup.sh          what `make run` needs
#   ./setup.sh test     also what `make test` needs: a browser, Java for DynamoDB Local, the small model
#   ./setup.sh python   the virtual environment alone, for what runs nothing on this machine
set -eu
cd "$(dirname "$0")"
for_tests=${1:-}

say() { printf '%s\n' "$*"; }

# --- Debian packages --------------------------------------------------------------------------------------------------

# Without these it does not run. What only tests need is kept apart: tests pass over what cannot be had.
wanted=""
wanted_for_tests=""
there() { if [ "${1#/}" != "$1" ]; then [ -e "$1" ]; else command -v "$1" >/dev/null 2>&1; fi; }
library_there() { [ -n "$(ls /usr/lib*/"$1" /usr/lib/*/"$1" 2>/dev/null)" ]; }

# A Python that can make virtual environments: Debian splits `venv` from the interpreter.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}
[ -n "$(find_python)" ] || wanted="$wanted python3 python3-venv"
there bwrap || wanted="$wanted bubblewrap"
there jq || wanted="$wanted jq"
library_there libseccomp.so.2 || wanted="$wanted libseccomp2"
library_there libgomp.so.1 || wanted="$wanted libgomp1" # the local model's engine is linked against it
if [ "$for_tests" = test ]; then
    there chromium || wanted_for_tests="$wanted_for_tests chromium"
    library_there libatomic.so.1 || wanted_for_tests="$wanted_for_tests libatomic1" # the browser's driver is linked against it
    there /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc || wanted_for_tests="$wanted_for_tests fonts-noto-cjk"
    there java || wanted_for_tests="$wanted_for_tests default-jre-headless"
    there mvn || wanted_for_tests="$wanted_for_tests maven"
fi

install_packages() {
    say "Installing Debian packages:$wanted$wanted_for_tests"
    # shellcheck disable=SC2086  # a list of names
    $1 sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends$wanted$wanted_for_tests" >/dev/null
}
# The one command that somebody who may become root has to type.
root_command() {
    become="sudo sh -c"
    command -v sudo >/dev/null 2>&1 || become="su -c"
    say "    $become 'apt-get update && apt-get install -y --no-install-recommends$wanted$wanted_for_tests'"
}
if [ -n "$wanted$wanted_for_tests" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        say "Please install these packages with your system's package manager:$wanted$wanted_for_tests"
    elif [ "$(id -u)" = 0 ]; then
        install_packages env || say "apt-get could not install:$wanted$wanted_for_tests"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        install_packages sudo || say "apt-get could not install:$wanted$wanted_for_tests"
    elif [ -n "$wanted" ]; then
        say "CodeCoach needs Debian packages that only root can install:$wanted"
        say "Nothing has been changed. Please run this, then the same again:"
        say ""
        root_command
        exit 1
    else
        say "Some tests need Debian packages that only root can install, and are passed over without:$wanted_for_tests"
        root_command
    fi
fi
python=$(find_python)
if [ -z "$python" ]; then
    say "Python 3.11 or newer with its venv module is needed and was not found."
    exit 1
fi

# --- Python packages --------------------------------------------------------------------------------------------------

lock=requirements.lock
[ "$for_tests" = test ] && lock=requirements-dev.lock
[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
# A stamp per lock: packages of the larger lock contain those of the smaller one.
stamp() { cksum requirements.lock requirements-dev.lock pyproject.toml | cksum | cut -d ' ' -f 1; }
done_for=$(cat .venv/.installed 2>/dev/null || true)
case "$done_for" in
"$(stamp) dev") ;;
"$(stamp) run") [ "$for_tests" = test ] && install=yes ;;
*) install=yes ;;
esac
if [ "${install:-}" = yes ]; then
    say "Installing Python packages (a minute or two)..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-virtualenv -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    echo "$(stamp) $([ "$for_tests" = test ] && echo dev || echo run)" >.venv/.installed
fi

[ "$for_tests" = python ] && exit 0

# --- Weights and runtimes, with a progress bar ------------------------------------------------------------------------

if [ "$for_tests" = test ]; then
    .venv/bin/python -m tests.dynamodb_local.server
    exec .venv/bin/codecoach setup --for-tests
fi
exec .venv/bin/codecoach setup
