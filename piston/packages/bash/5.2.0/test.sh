set -euo pipefail

aws --version >/dev/null
if command -v jq >/dev/null; then test "$(echo '{"a": [1, 2]}' | jq '.a | length')" = 2; fi
echo OK
