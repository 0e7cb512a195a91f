#!/usr/bin/env bash
# Every shell script parses, and passes shellcheck (warnings and errors) where that is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -t scripts < <(grep -lE '^#!.*\bbash\b|^# shellcheck shell=bash' -r scripts .ci tests/scripts)
[ "${#scripts[@]}" -ge 5 ] || { echo "found only ${#scripts[@]} shell scripts"; exit 1; }
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck -x -S warning "${scripts[@]}"
else
  echo "shellcheck is not installed: only the syntax was checked"
fi
echo "${#scripts[@]} shell scripts are sound"
