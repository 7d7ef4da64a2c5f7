#!/usr/bin/env bash
# Points the Piston of this instance at another index of packages:  sudo /opt/codecoach/deploy/piston-repo.sh URL
# Nobody's program is lost that has ended by then. What is installed stays; new packages come from the new index.
set -euo pipefail
CONF=${CONF:-/etc/codecoach}

url=${1:-}
case $url in
http://* | https://*) ;;
*) echo "usage: piston-repo.sh http(s)://... (an index of packages)" >&2 && exit 2 ;;
esac
# Asked for packages while its index is down, Piston crashes: so it is looked at first.
curl -fsSL -m 30 -o /dev/null "$url" || { echo "$url cannot be read; nothing was changed" >&2 && exit 3; }
for file in piston.env deployment.env; do
    grep -v '^PISTON_REPO_URL=' "$CONF/$file" >"$CONF/.$file"
    echo "PISTON_REPO_URL='$url'" >>"$CONF/.$file"
    chmod --reference "$CONF/$file" "$CONF/.$file"
    mv "$CONF/.$file" "$CONF/$file"
done
systemctl restart codecoach-piston.service
echo "Piston uses $url. Its packages: cd /opt/codecoach && .venv/bin/python -m piston list --index $url"
