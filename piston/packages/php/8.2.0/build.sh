#!/usr/bin/env bash
# Builds a PHP runtime into $PREFIX: PHP's command line out of Debian's packages, and the AWS SDK's release from GitHub where
# that can be fetched. Without it PHP runs, and SDK_MISSING says why it is not there: in a word, which CodeCoach knows, and in a sentence.
set -euo pipefail
. ./debian.sh
. ./fetch-sdk.sh

# The release names no checksum; sdk.txt holds the one that was recorded when the version was chosen (pin-sdk.sh).
install_sdk() {
    local version checksum
    read -r version checksum < <(grep -v '^#' sdk.txt) || { echo "not_pinned no release of the AWS SDK for PHP is pinned, see sdk.txt"; return; }
    fetch_sdk "$version" >aws.phar 2>/dev/null ||
        { echo "not_fetched the AWS SDK for PHP could not be fetched from its releases on GitHub"; return; }
    echo "$checksum  aws.phar" | sha256sum --check --quiet >/dev/null 2>&1 ||
        { echo "not_as_pinned the AWS SDK for PHP that was fetched is not the one that is pinned"; return; }
    install -m 644 aws.phar "$PREFIX/aws.phar"
    echo "aws-sdk-php $version" >"$PREFIX/SDK"
}

debian_unpack "$PREFIX" php-cli php-curl php-mbstring php-xml php-sqlite3
ln -s "$(cd "$PREFIX/usr/bin" && echo php[0-9].[0-9])" "$PREFIX/usr/bin/php"

missing=$(install_sdk)
if [ -n "$missing" ]; then echo "$missing" | tee "$PREFIX/SDK_MISSING"; fi
install -D -m 644 aws.php "$PREFIX/sdk/aws.php"
install -D -m 644 autoload.php "$PREFIX/sdk/vendor/autoload.php"

mount=${MOUNT:-$PREFIX}
modules=$(cd "$PREFIX" && echo usr/lib/php/20*)
{
    cat php.ini
    echo "extension_dir = $mount/$modules"
    echo "include_path = .:$mount/sdk"
    echo "auto_prepend_file = $mount/sdk/aws.php"
    # xml before what is built on it
    for name in xml ctype curl dom exif fileinfo gettext iconv mbstring pdo pdo_sqlite phar posix readline simplexml sockets sqlite3 \
        tokenizer xmlreader xmlwriter xsl; do
        if [ -f "$PREFIX/$modules/$name.so" ]; then echo "extension = $name"; fi
    done
} >"$PREFIX/php.ini"
LD_LIBRARY_PATH=$PREFIX/libraries "$PREFIX/usr/bin/php" -n -r 'echo PHP_VERSION;' >"$PREFIX/VERSION"
