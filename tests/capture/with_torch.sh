#!/usr/bin/env bash
# Runs a test with a Python that has torch and transformers; status 77, a skip, where there is none.
set -euo pipefail
if ! python=$("$(dirname "${BASH_SOURCE[0]}")/../../scripts/capture/venv" --no-install); then
  echo "skipped: no python3 with torch and transformers 5 (scripts/capture/venv makes one)"
  exit 77
fi
exec "$python" "$@"
