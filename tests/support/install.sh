# shellcheck shell=bash disable=SC2034
# Sourced by tests/run and examples/run: the packages that a fresh Debian 12 needs to build and run sluice.

# One entry per dependency; of alternatives any one suffices, and the first is installed.
build_packages=(
  g++
  cmake
  ninja-build
  libcaf-dev
  libsqlite3-dev
  sqlite3
  libfmt-dev
  catch2
  libcli11-dev
  nlohmann-json3-dev
  libtomlplusplus-dev
  libsodium-dev
  libzstd-dev libsimdjson-dev
  # The two cannot be installed together.
  "libboost1.81-dev|libboost1.74-dev"
  prometheus-cpp-dev
  libspdlog-dev
  libyaml-cpp-dev
  libbenchmark-dev
  util-linux
  patch
  python3
  curl
  socat
)

# The packages that the tests need beyond that.
test_packages=(
  valgrind
  # Of the Python package: an installation, its types, and SQLAlchemy above it.
  python3-venv
  python3-pip
  python3-setuptools
  python3-wheel
  python3-mypy
  python3-sqlalchemy
)

is_installed() {
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# missing_packages PACKAGE... : prints those that are not there, one per line.
missing_packages() {
  local need option
  for need in "$@"; do
    local found=
    local IFS='|'
    for option in $need; do
      if is_installed "$option"; then
        found=yes
      fi
    done
    [[ -n "$found" ]] || echo "${need%%|*}"
  done
}

# install_packages PACKAGE... : installs what is missing with apt, as root or through sudo.
install_packages() {
  local missing=() as_root=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "these packages are missing and need root to install: ${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq >&2 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
