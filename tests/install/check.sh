#!/usr/bin/env bash
# One check of the built or installed library. Usage: check.sh CHECK SOURCE_DIR BUILD_DIR
set -euo pipefail
check=$1 source=$2 build=$3
here=$source/tests/install
model=$source/models/cifar10-resnet20.onnx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() { echo "$check: $*" >&2; exit 1; }

install_tree() {
  cmake --install "$build" --prefix "$prefix" >"$work/install.log" ||
    { cat "$work/install.log"; fail "cannot install"; }
}

pkg_config() { PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name resnet.pc)") pkg-config "$@"; }

library_dir() { dirname "$(find "$prefix" -name libresnet.a)"; }

answers() { # PROGRAM: it opens the model that ships
  local said
  said=$("$1" "$model") || fail "$1 failed"
  [ "$said" = "10 classes" ] || fail "$1 said: $said"
}

header_alone() {
  local flags=(-Wall -Wextra -Werror -pedantic -I"$source/include")
  echo '#include <resnet.h>' >"$work/use.c"
  cp "$work/use.c" "$work/use.cc"
  cc -std=c11 "${flags[@]}" -c "$work/use.c" -o "$work/c.o"
  c++ -std=c++17 "${flags[@]}" -c "$work/use.cc" -o "$work/cc.o"
}

readme_compiles() {
  awk '/^```c( |$)/ { inside = 1; next } /^```$/ { inside = 0 } inside' \
    "$source/README.md" >"$work/readme.c"
  grep -q resnet_classify "$work/readme.c" || fail "README.md shows no program"
  cc -std=c11 -Wall -Wextra -Werror -pedantic -I"$source/include" \
    -c "$work/readme.c" -o "$work/readme.o"
}

only_resnet_names() { # NM_OPTIONS FILE
  local names others
  # shellcheck disable=SC2086 # the options are words
  names=$(nm $1 "$2" | awk 'NF == 3 { print $3 }')
  others=$(grep -v '^resnet_' <<<"$names" || true)
  [ -n "$names" ] || fail "$2 shows no symbols"
  [ -z "$others" ] || fail "$2 shows $(head -n 5 <<<"$others" | tr '\n' ' ')"
}

exported_symbols() { only_resnet_names "-D --defined-only" "$build/libresnet.so"; }

# Inside another process, nothing may print, exit or clash with other names.
python_symbols() {
  local library=$build/libresnet_python.so needed
  local print='(v|f)*printf|__(v|f)*printf_chk|puts|perror'
  only_resnet_names "-D --defined-only" "$library"
  needed=$(nm -D --undefined-only "$library" | awk '{ sub(/@.*/, "", $2); print $2 }')
  ! grep -E "^(std(out|err)|exit|_exit|abort|$print|resnet_.*)\$" <<<"$needed" ||
    fail "$library asks for these"
}

archive_symbols() { only_resnet_names "-g --defined-only" "$build/libresnet.a"; }

api_size() {
  local declared exported
  declared=$(grep -c '^RESNET_API' "$source/include/resnet.h")
  exported=$(nm -D --defined-only "$build/libresnet.so" | grep -c ' T resnet_')
  echo "$declared functions"
  [ "$declared" -le 20 ] || fail "resnet.h declares $declared functions: 20 are enough"
  [ "$declared" = "$exported" ] ||
    fail "resnet.h declares $declared functions, libresnet.so has $exported"
}

library_size() {
  strip -o "$work/stripped.so" "$build/libresnet.so"
  local size
  size=$(stat -c %s "$work/stripped.so")
  echo "libresnet.so: $size bytes, stripped"
  [ "$size" -le 1000000 ] ||
    fail "libresnet.so has grown to $size bytes: 1,000,000 are enough"
}

uses_system_xnnpack() { grep -q '^RESNET_SYSTEM_XNNPACK:BOOL=ON' "$build/CMakeCache.txt"; }

# XNNPACK, pthreadpool and cpuinfo are inside: programs need no other library than these.
self_contained() {
  uses_system_xnnpack && echo "skipped: the system's XNNPACK is used" && return
  local needed
  needed=$(readelf -d "$build/libresnet.so" | awk -F'[][]' '/NEEDED/ { print $2 }' |
    grep -vE '^(libprotobuf-c|libz|libm|libc|ld-linux.*)\.so' || true)
  [ -z "$needed" ] || fail "libresnet.so needs $needed"
  ! readelf -d "$build/libresnet.so" | grep -E 'R(UN)?PATH' ||
    fail "libresnet.so has a path of this machine"
}

installed_files() {
  install_tree
  local name
  for name in resnet.h libresnet.so libresnet.a resnet.pc resnet-static.pc resnet-config.cmake \
    LICENSE resnet resnet.1; do
    [ -n "$(find "$prefix" -name "$name")" ] || fail "$name is not installed"
  done
  "$prefix/bin/resnet" --version >/dev/null || fail "the installed program does not start"
}

pkg_config_shared() {
  install_tree
  # shellcheck disable=SC2046 # flags are words
  cc -std=c11 -o "$work/outside" "$here/outside.c" $(pkg_config --cflags --libs resnet) \
    -Wl,-rpath,"$(library_dir)"
  answers "$work/outside"
  [[ $(ldd "$work/outside") == *libresnet.so.0* ]] || fail "it is not linked with libresnet.so.0"
}

pkg_config_static() {
  install_tree
  # shellcheck disable=SC2046
  cc -std=c11 -o "$work/outside" "$here/outside.c" $(pkg_config --cflags --libs resnet-static)
  answers "$work/outside"
  [[ $(ldd "$work/outside") != *libresnet* ]] || fail "it is linked with libresnet.so"
  [[ $(pkg_config --libs resnet-static) != *-l@(pthreadpool|cpuinfo)* ]] || uses_system_xnnpack ||
    fail "resnet-static.pc asks for libraries that are inside libresnet.a"
  # Also in the usual way: only libresnet.a in the folder, and pkg-config --static.
  rm -f "$(library_dir)"/libresnet.so*
  # shellcheck disable=SC2046
  cc -std=c11 -o "$work/usual" "$here/outside.c" $(pkg_config --static --cflags --libs resnet)
  answers "$work/usual"
}

find_package() {
  install_tree
  cmake -S "$here/project" -B "$work/project" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
    >"$work/cmake.log" 2>&1 &&
    cmake --build "$work/project" >>"$work/cmake.log" 2>&1 ||
    { tail -n 30 "$work/cmake.log"; fail "it does not build"; }
  answers "$work/project/outside_shared"
  answers "$work/project/outside_static"
}

two_libraries() {
  install_tree
  # shellcheck disable=SC2046
  cc -std=c11 -o "$work/outside" "$here/outside.c" "$here/clash.c" \
    $(pkg_config --cflags --libs resnet-static)
  answers "$work/outside"
}

moved_tree() {
  install_tree
  mv "$prefix" "$work/elsewhere"
  prefix=$work/elsewhere
  "$prefix/bin/resnet" --version >/dev/null ||
    fail "the program does not start where it was moved to"
  # shellcheck disable=SC2046
  cc -std=c11 -o "$work/outside" "$here/outside.c" $(pkg_config --cflags --libs resnet) \
    -Wl,-rpath,"$(library_dir)"
  answers "$work/outside"
}

"$check"
