# Sourced by build.sh: takes programs out of Debian's packages, without root and without installing anything.

# debian_unpack FOLDER PACKAGE...: unpack packages and the libraries they need into a folder; its `libraries` names where those are.
#
# What every Debian has (its C library and the like) is left out. Works with the system's package lists where they are
# there and fresh, and with lists of its own where they are not.
debian_unpack() {
    local folder=$1 work
    shift
    work=$(mktemp -d)
    if ! debian_download "$work" "$@"; then
        debian_lists "$work"
        debian_download "$work" "$@"
    fi
    mkdir -p "$folder"
    for archive in "$work"/*.deb; do dpkg-deb -x "$archive" "$folder"; done
    if [ -d "$folder/lib" ]; then # on the system itself both are one
        cp -a "$folder/lib/." "$folder/usr/lib/"
        rm -rf "$folder/lib"
    fi
    ln -s "$(cd "$folder" && echo usr/lib/*-linux-gnu)" "$folder/libraries"
    rm -rf "$work" "$folder"/usr/share/{doc,man,locale,lintian,bug}
}

debian_apt=(-o APT::Sandbox::User=root) # whose folders the download user may not enter

debian_lists() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    debian_apt+=(-o "Dir::State::lists=$1/lists" -o "Dir::Cache=$1/cache")
    apt-get "${debian_apt[@]}" -qq update
}

debian_download() {
    local work=$1 wanted
    shift
    wanted=$(debian_closure "$@") || return 1
    # shellcheck disable=SC2086  # a list of names
    (cd "$work" && apt-get "${debian_apt[@]}" -qq download $wanted)
}

# The packages and, by and by, the libraries that they depend on.
debian_closure() {
    local all new=$* next
    all=$new
    while [ -n "$new" ]; do
        # shellcheck disable=SC2086  # a list of names
        next=$(apt-cache "${debian_apt[@]}" depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
            --no-enhances $new) || return 1
        next=$(echo "$next" | sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \([a-z0-9.+-]*\)$/\2/p' | sort -u | debian_libraries)
        new=""
        for name in $next; do
            case " $all " in *" $name "*) ;; *) new="$new $name" all="$all $name" ;; esac
        done
    done
    echo "$all"
}

# Also what a metapackage stands for, such as php8.2-cli for php-cli.
debian_libraries() {
    grep -E '^(lib|php[0-9])' | grep -Ev '^(libc6|libcrypt1|libgcc-s1|libstdc\+\+6|libperl|libdebian-installer|libdb[0-9])' || true
}
