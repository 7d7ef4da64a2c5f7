#!/usr/bin/env bash
# `run` and `compile` of every package, as the builder puts them; the package's own scripts of these names lie in program/.
#
# Piston gives a program no environment, an altered stdin, no way to hand files back and no way to be stopped.
# CodeCoach's adapter therefore sends instructions as files, and supervise.pl carries them out around the package's script.
# Without them (in the local sandbox, for any other client of Piston) that script runs as it is.
if [ -f .codecoach/job ] && [ -z "${CODECOACH_SUPERVISED-}" ]; then
    exec perl "${0%/*}/supervise.pl" "$0" "$@"
fi
unset CODECOACH_SUPERVISED
. "${0%/*}/program/${0##*/}"
