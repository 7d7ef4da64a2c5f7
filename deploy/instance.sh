#!/usr/bin/env bash
# Makes a fresh Debian instance a host of CodeCoach, and tells the stack when it can be used or why it cannot.
#
#   instance.sh              all of it; called by the user data of cf-template.yaml, may be called again
#   instance.sh languages    the languages that are still missing; called by the first one, in the background
#
# What it is to be stands in /etc/codecoach/deployment.env:
#
#   ROLE             app: web app, with programs beside it unless PISTON_URL is set; piston: programs only
#   SIGNAL_URL       presigned address of the stack's wait condition
#   GROUP            name in the template of the instance's group, for updates
#   LANGUAGES        separated by spaces or commas; the first three of AT_ONCE are ready before the stack is
#   PISTON_URL       of Pistons elsewhere
#   PISTON_REPO_URL  an index that is used instead of what is built here
#   the rest         as the template's parameters
set -Eeuo pipefail

HOME_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CONF=/etc/codecoach
DATA=/var/lib/codecoach
PACKAGES=$DATA/packages
METADATA=${METADATA:-http://169.254.169.254}
READY_WITHIN_S=${READY_WITHIN_S:-900}
LANGUAGES_WITHIN_S=${LANGUAGES_WITHIN_S:-2700}
BALANCER_S=${BALANCER_S:-30} # two of the load balancer's looks, after which it sends people here
AT_ONCE="bash javascript python"
BRIDGE=172.17.0.1 # this machine, as Docker's containers reach it
PYTHON=$HOME_DIR/.venv/bin/python

# shellcheck source=/dev/null
. "$CONF/deployment.env"
LANGUAGES=${LANGUAGES//,/ }

step=""
step() {
    step=$1
    echo "=== $(date -u +%H:%M:%S) $step"
}

# --- What the stack is told -------------------------------------------------------------------------------------------

# While a stack is made: its wait condition, whose reason people see in the stack's events.
tell_condition() { # tell_condition SUCCESS|FAILURE REASON
    python3 - "$SIGNAL_URL" "$1" "$2" <<'END' || echo "the wait condition was not told"
import json, socket, sys, urllib.request
url, status, reason = sys.argv[1:]
told = {"Status": status, "Reason": reason[:1000], "UniqueId": socket.gethostname(), "Data": "-"}
request = urllib.request.Request(url, json.dumps(told).encode(), {"Content-Type": ""}, method="PUT")
urllib.request.urlopen(request, timeout=60)
END
}

# While it is updated: the group of this instance. At other times nobody listens, and that is no fault.
tell_group() { # tell_group SUCCESS|FAILURE
    aws cloudformation signal-resource --region "$REGION" --stack-name "$STACK" --logical-resource-id "$GROUP" \
        --unique-id "$(metadata instance-id)" --status "$1" || echo "no update waits for this instance"
}

fail() {
    if [ "$BASH_SUBSHELL" != 0 ]; then exit 1; fi # its parent fails next, and tells
    trap - ERR
    echo "FAILED: $1"
    tell_condition FAILURE "$1"
    tell_group FAILURE
    exit 1
}
# What went wrong stands at the end of the log, which the user data has all output written into.
LOG=/var/log/codecoach-setup.log
on_error() {
    sleep 1 # the log is written by another process
    fail "$step did not work: $(tail -n 3 "$LOG" 2>/dev/null | cut -c 1-300 | tr '\n' ' ')(all of it: $LOG)"
}
trap on_error ERR

metadata() {
    local token
    token=$(curl -sf -m 10 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$METADATA/latest/api/token")
    curl -sf -m 10 -H "X-aws-ec2-metadata-token: $token" "$METADATA/latest/meta-data/$1"
}

again() { # again COMMAND...: whatever goes over the internet fails now and then
    local try
    for try in 1 2 3; do
        "$@" && return
        echo "did not work the ${try}. time: $*" >&2 # not into what the command says
        sleep "${PAUSE_S:-10}"
    done
    "$@"
}

# --- What is installed ------------------------------------------------------------------------------------------------

runs_piston() { [ "$RUNNER" = piston ] && [ -z "${PISTON_URL:-}" ]; }

install_packages() {
    step "Installing Debian packages"
    local wanted=(ca-certificates curl jq logrotate python3 python3-venv)
    if [ "$ROLE" = app ]; then wanted+=(bubblewrap libgomp1 libseccomp2); fi
    if runs_piston; then wanted+=(docker-buildx docker-cli docker-compose docker.io); fi
    again apt-get install -yq --no-install-recommends "${wanted[@]}"
}

# A shell by Session Manager, logs and the fill of the disk in CloudWatch. Without them CodeCoach works all the same.
install_agents() {
    step "Installing the agents of Systems Manager and CloudWatch"
    local ssm="https://s3.$REGION.amazonaws.com/amazon-ssm-$REGION/latest/debian_amd64/amazon-ssm-agent.deb"
    local cloudwatch="https://amazoncloudwatch-agent-$REGION.s3.$REGION.amazonaws.com/debian/amd64/latest/amazon-cloudwatch-agent.deb"
    { again curl -fsSL "$ssm" -o /tmp/ssm.deb && dpkg -i /tmp/ssm.deb && systemctl enable --now amazon-ssm-agent; } ||
        echo "WARNING: no Session Manager"
    jq --arg stack "$STACK" --arg group "$LOG_GROUP" --arg role "$ROLE" \
        'walk(if type == "string" then gsub("STACK"; $stack) | gsub("LOG_GROUP"; $group) | gsub("ROLE"; $role) else . end)' \
        "$HOME_DIR/deploy/cloudwatch-agent.json" >"$CONF/cloudwatch-agent.json"
    { again curl -fsSL "$cloudwatch" -o /tmp/cloudwatch.deb && dpkg -i /tmp/cloudwatch.deb &&
        /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
            -c "file:$CONF/cloudwatch-agent.json"; } || echo "WARNING: no logs in CloudWatch"
    rm -f /tmp/ssm.deb /tmp/cloudwatch.deb
}

install_python() {
    step "Installing Python packages"
    [ -x "$PYTHON" ] || python3 -m venv "$HOME_DIR/.venv"
    again "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r "$HOME_DIR/requirements.lock"
    "$PYTHON" -m compileall -q "$HOME_DIR/codecoach" "$HOME_DIR/pages" "$HOME_DIR/piston/"*.py
}

make_places() {
    id codecoach >/dev/null 2>&1 || useradd --system --home-dir "$DATA" --shell /usr/sbin/nologin codecoach
    install -d -m 755 "$DATA" "$PACKAGES"
    install -d -m 700 -o codecoach -g codecoach "$DATA/data" "$DATA/cache"
    install -m 644 "$HOME_DIR/deploy/logrotate.conf" /etc/logrotate.d/codecoach
}

install_units() {
    install -m 644 "$HOME_DIR"/deploy/units/* /etc/systemd/system/
    systemctl daemon-reload
}

# --- Piston -----------------------------------------------------------------------------------------------------------

piston_port() { if [ "$ROLE" = piston ]; then echo 2002; else echo 2000; fi; }
index_url() { echo "${PISTON_REPO_URL:-http://$BRIDGE:2001/index}"; }

# What the programs may reach is the simulated AWS: of this machine, or of whichever instance of the web app sent them.
jobs_may_reach() {
    if [ "$ROLE" = app ]; then
        echo "$BRIDGE:8700"
    else
        echo "$(metadata "network/interfaces/macs/$(metadata mac)/vpc-ipv4-cidr-block"):8700"
    fi
}

start_piston() {
    step "Starting Piston"
    local memory_mb reserved_mb=1000
    if [ "$ROLE" = app ]; then reserved_mb=2500; fi
    memory_mb=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    memory_mb=$((memory_mb / 1024 - reserved_mb))
    if [ "$memory_mb" -lt 1500 ]; then fail "the instance type has too little memory for Piston: 4 GB are the least"; fi
    cat >"$CONF/piston.env" <<END
PISTON_REPO_URL=${PISTON_REPO_URL:-http://host.docker.internal:2001/index}
PISTON_PORT=$(piston_port)
PISTON_MEMORY=${memory_mb}m
JOBS_MAY_REACH=$(jobs_may_reach)
END
    again systemctl restart codecoach-piston.service
    systemctl enable codecoach-piston.service
}

# The load balancer's way in, once there is something to run.
open_port() {
    step "Opening Piston's port"
    systemctl enable --now codecoach-piston-port.socket
}

fetch_bundle() {
    [ -n "$BUNDLE_URL" ] || return 0
    step "Fetching the runtime bundle"
    case $BUNDLE_URL in
    s3://*) again aws s3 cp --only-show-errors --region "$REGION" "$BUNDLE_URL" "$DATA/bundle.tar" ;;
    *) again curl -fsSL "$BUNDLE_URL" -o "$DATA/bundle.tar" ;;
    esac
    tar -xf "$DATA/bundle.tar" -C "$PACKAGES" --no-same-owner --wildcards '*.pkg.tar.gz' --transform 's|.*/||'
    rm "$DATA/bundle.tar"
    (cd "$HOME_DIR" && "$PYTHON" -m piston sift "$PACKAGES") # what is of another state of the source is built anew
}

# On the system that Piston's image has, whatever this machine's is. Privileged for the packages' own tests.
build_package() { # build_package LANGUAGE
    if compgen -G "$PACKAGES/$1-*.pkg.tar.gz" >/dev/null; then return 0; fi
    docker image inspect codecoach-packer >/dev/null 2>&1 ||
        again docker build --quiet --target packer --tag codecoach-packer "$HOME_DIR"
    again docker run --rm --privileged --volume "$PACKAGES:/packages" codecoach-packer "$1"
}

install_on_piston() { # install_on_piston LANGUAGE
    [ -n "$PISTON_REPO_URL" ] || build_package "$1"
    # Refuses to start over an empty folder; looks anew at each question.
    [ -n "$PISTON_REPO_URL" ] || systemctl enable --now codecoach-packages.service
    (cd "$HOME_DIR" && again "$PYTHON" -m piston install "$1" --piston "http://127.0.0.1:$(piston_port)" --index "$(index_url)")
}

as_app() { # as_app WORDS...: a command of CodeCoach with the app's own settings and rights
    systemd-run --quiet --wait --pipe --uid codecoach --gid codecoach --working-directory "$HOME_DIR" \
        --property EnvironmentFile="$CONF/app.env" "$PYTHON" -m codecoach "$@"
}

install_language() {
    if [ "$RUNNER" = sandbox ]; then as_app runtimes install "$1" --from "$PACKAGES"; else install_on_piston "$1"; fi
}

# An update shall take no language away from people, but does not wait for ever.
wait_for_languages() {
    step "Waiting for the other languages"
    local until=$((SECONDS + LANGUAGES_WITHIN_S))
    while systemctl --quiet is-active codecoach-languages && [ $SECONDS -lt $until ]; do sleep 5; done
}

wanted() { # wanted at_once|later: those of LANGUAGES
    local language
    for language in $LANGUAGES; do
        case " $AT_ONCE " in
        *" $language "*) [ "$1" = at_once ] && echo "$language" ;;
        *) [ "$1" = later ] && echo "$language" ;;
        esac
    done
    return 0
}

install_languages() { # install_languages at_once|later
    local language
    for language in $(wanted "$1"); do
        step "Installing $language"
        if [ "$1" = at_once ]; then
            install_language "$language"
        else
            (trap - ERR && install_language "$language") || echo "WARNING: $language could not be installed"
        fi
    done
}

# --- The web app ------------------------------------------------------------------------------------------------------

secret() { # of a try that failed nothing is said
    local text
    text=$(aws secretsmanager get-secret-value --region "$REGION" --secret-id "$1" --query SecretString --output text) || return
    printf '%s\n' "$text"
}

# The template has looked at these already; but what goes into a file of variables is looked at where it is written, too.
check_settings() {
    step "Looking at the settings"
    local LC_ALL=C pair name plain='^CODECOACH_[A-Z0-9_]+=[A-Za-z0-9._~/?&=%+@:,-]*$'
    [[ $MONTHLY_DOLLARS =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "MonthlyDollars is no amount: ${MONTHLY_DOLLARS@Q}"
    if [[ $MORE_SETTINGS == *$'\n'* ]]; then fail "MoreSettings has more than one line"; fi
    read -ra given_settings <<<"${MORE_SETTINGS//;/ }"
    for pair in "${given_settings[@]}"; do
        [[ $pair =~ $plain ]] || fail "MoreSettings holds something else than CODECOACH_NAME=value"
        name=${pair%%=*}
        case $name in
        *SECRET* | *PASSWORD*) fail "MoreSettings may hold no secret: $name" ;;
        esac
        name=${name#CODECOACH_}
        grep -q "^    ${name,,}: " "$HOME_DIR/codecoach/settings.py" || fail "MoreSettings: there is no setting CODECOACH_$name"
    done
}

write_settings() {
    check_settings
    step "Reading the secrets"
    local password cookie oidc="" gateway="" pistons="" jobs=""
    password=$(again secret "$ADMIN_PASSWORD_ARN")
    cookie=$(again secret "$COOKIE_SECRET_ARN")
    if [ -n "$OIDC_SECRET_ARN" ]; then
        oidc=$(again secret "$OIDC_SECRET_ARN")
        [[ $oidc =~ ^[A-Za-z0-9._~+/=-]+$ ]] || fail "the secret of OidcSecretArn is no plain text of letters, digits and ._~+/=-"
    fi
    if [ "$RUNNER" = piston ]; then
        pistons=${PISTON_URL:-http://127.0.0.1:2000}
        gateway=$BRIDGE:8700
        if [ -n "${PISTON_URL:-}" ]; then
            gateway=$(metadata local-ipv4):8700
            # Behind their one address each instance may use its share of all of them, 8 at a time on each.
            jobs=$((8 * ${PISTON_COUNT:-1} / ${INSTANCE_COUNT:-1}))
            if [ "$jobs" -lt 1 ]; then jobs=1; fi
        fi
    fi
    (
        umask 077
        # Of two lines with one name the later counts: MoreSettings may have another log format, but no other backend.
        cat >"$CONF/app.env" <<END
CODECOACH_LOG_FORMAT=json
CODECOACH_METRICS=127.0.0.1:9464
CODECOACH_DRAIN_S=60
CODECOACH_BUDGET_MONTH_DOLLARS=$MONTHLY_DOLLARS
$(printf '%s\n' "${given_settings[@]}")
CODECOACH_BACKEND=aws
CODECOACH_REGION=$REGION
CODECOACH_TABLE=$TABLE
CODECOACH_HOST=0.0.0.0
CODECOACH_PORT=8501
CODECOACH_DATA_DIR=$DATA/data
CODECOACH_CACHE_DIR=$DATA/cache
CODECOACH_RUNNER=$RUNNER
${pistons:+CODECOACH_PISTON_URLS=$pistons}
${jobs:+CODECOACH_PISTON_JOBS=$jobs}
${gateway:+CODECOACH_GATEWAY=$gateway}
CODECOACH_RUN_ROLE_ARN=$RUN_ROLE_ARN
CODECOACH_MY_AWS=$MY_AWS
CODECOACH_ADMIN_EMAIL=$ADMIN_EMAIL
CODECOACH_ADMIN_PASSWORD=$password
CODECOACH_COOKIE_SECURE=true
CODECOACH_CLIENT_ADDRESS_HEADER=CloudFront-Viewer-Address
CODECOACH_COOKIE_SECRET=$cookie
STREAMLIT_SERVER_COOKIE_SECRET=$cookie
${oidc:+CODECOACH_OIDC_CLIENT_SECRET=$oidc}
END
    )
}

start_app() {
    step "Starting the web app"
    systemctl enable codecoach.service
    systemctl restart codecoach.service
}

wait_until_ready() {
    step "Waiting for the health page"
    local found until=$((SECONDS + READY_WITHIN_S))
    until found=$(cd "$HOME_DIR" && "$PYTHON" -m codecoach.health http://127.0.0.1:8501); do
        if [ $SECONDS -ge $until ]; then fail "CodeCoach started, but does not work: $found"; fi
        sleep 2
    done
}

# --- In order ---------------------------------------------------------------------------------------------------------

main() {
    export DEBIAN_FRONTEND=noninteractive
    install_packages
    install_agents
    install_python
    make_places
    install_units
    if [ "$ROLE" = app ]; then write_settings; fi
    if runs_piston; then start_piston; fi
    if runs_piston || [ "$RUNNER" = sandbox ]; then fetch_bundle; fi
    # Where programs run elsewhere, that is where languages are installed.
    if runs_piston || [ "$RUNNER" = sandbox ]; then install_languages at_once; fi
    if [ "$ROLE" = piston ]; then open_port; fi
    if [ "$ROLE" = app ]; then
        start_app
        wait_until_ready
        tell_condition SUCCESS "CodeCoach answers" # the web app's to tell: it looks at Piston, too
    fi
    if [ -n "$(wanted later)" ] && { runs_piston || [ "$RUNNER" = sandbox ]; }; then
        systemd-run --unit codecoach-languages --nice 10 "$HOME_DIR/deploy/instance.sh" languages
        wait_for_languages
    fi
    sleep "$BALANCER_S"
    tell_group SUCCESS # then an update lets the old instance go
    step "Done"
}

case ${1:-} in
"") main ;;
languages) install_languages later ;;
*) echo "usage: instance.sh [languages]" >&2 && exit 2 ;;
esac
