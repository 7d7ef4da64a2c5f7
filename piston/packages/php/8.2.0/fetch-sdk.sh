# Sourced by build.sh and pin-sdk.sh.

fetch_sdk() { # fetch_sdk VERSION: a release of the AWS SDK for PHP on stdout
    "${PYTHON:-python3}" -c 'import shutil, sys, urllib.request
shutil.copyfileobj(urllib.request.urlopen(sys.argv[1], timeout=60), sys.stdout.buffer)' \
        "${AWS_SDK_PHP_RELEASES:-https://github.com/aws/aws-sdk-php/releases/download}/$1/aws.phar"
}
