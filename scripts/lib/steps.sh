# shellcheck shell=bash
# Steps with a time each: one line on the terminal, everything else in a log.

say() { printf '%s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit "${2:-1}"
}

# step NAME NOTE LOG COMMAND...  runs the command; on failure shows the end of its log and leaves with its status.
step() {
  local name=$1 note=$2 log=$3 begin=$EPOCHREALTIME status=0
  shift 3
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    printf '%-12s failed, the end of %s:\n' "$name" "$log" >&2
    tail -n 40 "$log" >&2
    exit "$status"
  fi
  step_done "$name" "$note" "$begin"
}

# step_done NAME NOTE BEGIN  the line of a step that began at $EPOCHREALTIME = BEGIN.
step_done() {
  local tenths=$(((${EPOCHREALTIME//[!0-9]/} - ${3//[!0-9]/}) / 100000))
  printf '%-12s %-64s %4d.%d s\n' "$1" "$2" $((tenths / 10)) $((tenths % 10))
}
