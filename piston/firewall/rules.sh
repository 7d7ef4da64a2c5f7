#!/bin/sh
# The programs that Piston runs reach nothing but the places of JOBS_MAY_REACH ("host:port network/bits:port ..."), by TCP.
#
# Not Piston itself on loopback, which would install packages for them; not the instance metadata; no name server, since names
# carry data out: give them an address by number. Piston's isolate runs each job as one of these users; Piston's own users, who
# fetch packages and answer requests, are free.
set -eu
FIRST_USER=60000
LAST_USER=60999

addresses() { # addresses HOST
    case $1 in
    *[!0-9./]*) getent ahostsv4 "$1" | cut -d ' ' -f 1 | sort -u ;;
    *) echo "$1" ;;
    esac
}

places=""
for place in ${JOBS_MAY_REACH:-}; do
    found=$(addresses "${place%:*}")
    [ -n "$found" ] || { echo "$place of JOBS_MAY_REACH has no address" >&2; exit 1; }
    for address in $found; do places="$places${places:+, }$address . ${place##*:}"; done
done
elements=${places:+"elements = { $places }"}

nft -f - <<RULES
table inet jobs
flush table inet jobs
table inet jobs {
    set reachable {
        type ipv4_addr . inet_service
        flags interval
        $elements
    }
    chain output {
        type filter hook output priority filter; policy accept;
        meta skuid $FIRST_USER-$LAST_USER ip daddr . tcp dport @reachable accept
        meta skuid $FIRST_USER-$LAST_USER counter reject
    }
}
RULES
