# shellcheck shell=bash
# The packages a build and its tests need on Debian 12, Ubuntu 24.04 and later. Needs steps.sh.

MOECARLO_LIBRARIES=(libhdf5-dev libdeflate-dev libcli11-dev libgtest-dev libgmock-dev librandom123-dev
  nlohmann-json3-dev libtomlplusplus-dev libfmt-dev librsvg2-dev)
MOECARLO_TOOLS=(g++:g++ cmake:cmake ninja:ninja-build git:git pkg-config:pkg-config) # command:package

# A python3 that has h5py and numpy; empty when there is none.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import h5py, numpy' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
}

# One missing package a line. A tool counts as present wherever it came from, a library only as a package.
missing_packages() {
  local tool library
  for tool in "${MOECARLO_TOOLS[@]}"; do
    command -v "${tool%%:*}" >/dev/null || printf '%s\n' "${tool#*:}"
  done
  if command -v dpkg-query >/dev/null; then
    for library in "${MOECARLO_LIBRARIES[@]}"; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$library" 2>/dev/null)" = installed ] || printf '%s\n' "$library"
    done
  fi
  [ -n "$(find_python)" ] || printf '%s\n' python3 python3-h5py python3-numpy
}

# The words that make a command run as root: none, "sudo", or a failure when this user may not.
as_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  command -v sudo >/dev/null || return 1
  if [ -t 0 ]; then printf 'sudo'; else sudo -n true 2>/dev/null && printf 'sudo -n'; fi
}

apt_install() {
  local root
  read -ra root <<<"$1"
  shift
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# install_packages LOG PACKAGE...  installs them, or names them and the command when this user may not.
install_packages() {
  local log=$1 root
  shift
  command -v apt-get >/dev/null || die "missing: $* (no apt-get here: install these by their names on this system)"
  root=$(as_root) || die "missing packages; as root run: apt-get install $*"
  say "packages     installing $*"
  step packages "$# packages installed" "$log" apt_install "$root" "$@"
}

# Installs what is missing and nothing else; touches no network when all is present.
ensure_packages() {
  local log=$1 begin=$EPOCHREALTIME missing
  mapfile -t missing < <(missing_packages)
  if [ "${#missing[@]}" -gt 0 ]; then
    install_packages "$log" "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -eq 0 ] || die "still missing after the installation: ${missing[*]}"
  else
    step_done packages "all present" "$begin"
  fi
  command -v dpkg-query >/dev/null || say "unchecked    no dpkg-query here; needed are ${MOECARLO_LIBRARIES[*]}"
}
