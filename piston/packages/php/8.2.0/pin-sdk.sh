#!/usr/bin/env bash
# pin-sdk.sh VERSION: records the checksum of a release of the AWS SDK for PHP, for every later build to hold it to.
set -euo pipefail
cd "$(dirname "$0")"
. ./fetch-sdk.sh

checksum=$(fetch_sdk "$1" | sha256sum | cut -d ' ' -f 1)
sed -i '/^[^#]/d' sdk.txt
echo "$1 $checksum" >>sdk.txt
