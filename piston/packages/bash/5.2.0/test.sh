set -euo pipefail

aws --version >/dev/null
test "$(echo '{"a": [1, 2]}' | jq '.a | length')" = 2
echo OK
