#!/usr/bin/env bash
# Check the built or the installed library in one respect.
# Usage: check.sh CHECK SOURCE_DIR BUILD_DIR
set -euo pipefail
check=$1 source=$2 build=$3
here=$source/tests/install
model=$source/models/cifar10-resnet20.onnx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
strict=(-Wall -Wextra -Werror -pedantic)

fail() { echo "$check: $*" >&2; exit 1; }

install_tree() {
  cmake --install "$build" --prefix "$prefix" >"$work/install.log" ||
    { cat "$work/install.log"; fail "cannot install"; }
}

pkg_config() { PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name resnet.pc)") pkg-config "$@"; }

library_dir() { dirname "$(find "$prefix" -name libresnet.a)"; }

has_system_xnnpack() { grep -q '^RESNET_SYSTEM_XNNPACK:BOOL=ON' "$build/CMakeCache.txt"; }

# runs PROGRAM: fail unless the program, built from outside.c, reads the bundled model.
runs() {
  local printed
  printed=$("$1" "$model") || fail "$1 failed"
  [ "$printed" = "10 classes" ] || fail "$1 printed: $printed"
}

header_alone() {
  local include=$source/include
  echo '#include <resnet.h>' >"$work/use.c"
  cp "$work/use.c" "$work/use.cc"
  cc -std=c11 "${strict[@]}" -I"$include" -c "$work/use.c" -o "$work/c.o"
  c++ -std=c++17 "${strict[@]}" -I"$include" -c "$work/use.cc" -o "$work/cc.o"
}

# only_resnet_names NM_OPTIONS FILE: fail if nm lists a name without the prefix resnet_.
only_resnet_names() {
  local names others
  # shellcheck disable=SC2086 # $1 holds several options
  names=$(nm $1 "$2" | awk 'NF == 3 { print $3 }')
  others=$(grep -v '^resnet_' <<<"$names" || true)
  [ -n "$names" ] || fail "$2 shows no symbols"
  [ -z "$others" ] || fail "$2 shows $(head -n 5 <<<"$others" | tr '\n' ' ')"
}

exported_symbols() { only_resnet_names "-D --defined-only" "$build/libresnet.so"; }

# The library runs in a Python process that it does not own: it must not print or exit.
python_symbols() {
  local library=$build/libresnet_python.so needed found
  local unwanted='std(out|err)|exit|_exit|abort|(v|f)*printf|__(v|f)*printf_chk|puts|perror'
  only_resnet_names "-D --defined-only" "$library"
  needed=$(nm -D --undefined-only "$library" | awk '{ sub(/@.*/, "", $2); print $2 }')
  found=$(grep -E "^($unwanted|resnet_.*)\$" <<<"$needed" || true)
  [ -z "$found" ] || fail "$library uses $(tr '\n' ' ' <<<"$found")"
}

archive_symbols() { only_resnet_names "-g --defined-only" "$build/libresnet.a"; }

api_size() {
  local declared exported limit=24
  declared=$(grep -c '^RESNET_API' "$source/include/resnet.h")
  exported=$(nm -D --defined-only "$build/libresnet.so" | grep -c ' T resnet_')
  echo "$declared functions"
  [ "$declared" -le $limit ] || fail "resnet.h declares $declared functions; the limit is $limit"
  [ "$declared" = "$exported" ] ||
    fail "resnet.h declares $declared functions, libresnet.so has $exported"
}

library_size() {
  local size limit=1000000
  strip -o "$work/stripped.so" "$build/libresnet.so"
  size=$(stat -c %s "$work/stripped.so")
  echo "libresnet.so: $size bytes, stripped"
  [ "$size" -le $limit ] || fail "libresnet.so has $size bytes; the limit is $limit"
}

# XNNPACK, pthreadpool and cpuinfo are inside: programs need no other library than these.
self_contained() {
  if has_system_xnnpack; then
    echo "skipped: the system's XNNPACK is used"
    return
  fi
  local library=$build/libresnet.so needed
  local allowed='libprotobuf-c|libz|libm|libc|ld-linux.*'
  needed=$(readelf -d "$library" | awk -F'[][]' '/NEEDED/ { print $2 }' |
    grep -vE "^($allowed)\.so" || true)
  [ -z "$needed" ] || fail "libresnet.so needs $needed"
  ! readelf -d "$library" | grep -E 'R(UN)?PATH' ||
    fail "libresnet.so contains a path of this machine"
}

installed_files() {
  install_tree
  local name names=(
    resnet.h libresnet.so libresnet.a resnet.pc resnet-static.pc resnet-config.cmake LICENSE
    resnet resnet.1)
  for name in "${names[@]}"; do
    [ -n "$(find "$prefix" -name "$name")" ] || fail "$name is not installed"
  done
  "$prefix/bin/resnet" --version >/dev/null || fail "the installed program does not start"
}

# build_outside ARGUMENT...: compile outside.c to $work/outside.
build_outside() { cc -std=c11 -o "$work/outside" "$here/outside.c" "$@"; }

pkg_config_shared() {
  install_tree
  # shellcheck disable=SC2046 # pkg-config prints several flags
  build_outside $(pkg_config --cflags --libs resnet) -Wl,-rpath,"$(library_dir)"
  runs "$work/outside"
  [[ $(ldd "$work/outside") == *libresnet.so.0* ]] || fail "it is not linked with libresnet.so.0"
}

pkg_config_static() {
  install_tree
  # shellcheck disable=SC2046
  build_outside $(pkg_config --cflags --libs resnet-static)
  runs "$work/outside"
  [[ $(ldd "$work/outside") != *libresnet* ]] || fail "it is linked with libresnet.so"
  [[ $(pkg_config --libs resnet-static) != *-l@(pthreadpool|cpuinfo)* ]] || has_system_xnnpack ||
    fail "resnet-static.pc asks for libraries that are inside libresnet.a"
  # A folder that holds only libresnet.a, with pkg-config --static, must work too.
  rm -f "$(library_dir)"/libresnet.so* "$work/outside"
  # shellcheck disable=SC2046
  build_outside $(pkg_config --static --cflags --libs resnet)
  runs "$work/outside"
}

# as_printed SOURCE COMMANDS: in an installed tree, run the line of COMMANDS that
# compiles a program, exactly as it is printed, then the program with a model.
as_printed() {
  local name line printed
  line=$(grep -E '^ *cc .*pkg-config' <<<"$2" | head -n 1 | sed 's/^ *//')
  name=$(sed -E 's/^cc ([a-z_]+)\.c .*/\1/' <<<"$line")
  [ -n "$name" ] || fail "no line compiles the program"
  mkdir "$work/here"
  printf '%s\n' "$1" >"$work/here/$name.c"
  cc -std=c11 "${strict[@]}" -I"$prefix/include" -c "$work/here/$name.c" -o "$work/strict.o"
  (cd "$work/here" && PKG_CONFIG_PATH=$(library_dir)/pkgconfig bash -c "$line") ||
    fail "it does not link: $line"
  printed=$(LD_LIBRARY_PATH=$(library_dir) "$work/here/$name" "$model" \
    <"$source/bindings/examples/ship.ppm") || fail "$name failed"
  echo "$name: $printed"
  [ -n "$printed" ] || fail "$name printed nothing"
}

readme_program() {
  install_tree
  local program
  program=$(awk '/^```c( |$)/ { inside = 1; next } /^```$/ { inside = 0 } inside' \
    "$source/README.md")
  grep -q resnet_classify <<<"$program" || fail "README.md shows no program"
  as_printed "$program" "$(cat "$source/README.md")"
}

header_program() {
  install_tree
  local comment
  comment=$(sed '/^ *\*\/$/q' "$source/include/resnet.h" | sed -E 's/^ \* {0,5}//')
  as_printed "$(sed -n '/^#include/,/^}/p' <<<"$comment")" "$comment"
}

pkg_config_fully_static() {
  install_tree
  local name
  # A folder of archives only is linked in the same way.
  for name in resnet-static resnet; do
    # shellcheck disable=SC2046
    build_outside -static $(pkg_config --static --cflags --libs $name) ||
      fail "-static and $name do not link"
    runs "$work/outside"
    ! readelf -d "$work/outside" | grep NEEDED || fail "$name: it is not static"
    rm -f "$(library_dir)"/libresnet.so*
  done
}

# What is installed, and programs that are linked with it, must not name the machine that
# built it.
no_build_paths() {
  if grep -q '^CMAKE_BUILD_TYPE:STRING=Debug' "$build/CMakeCache.txt"; then
    echo "skipped: debuggers need the paths of a debug build"
    return
  fi
  install_tree
  local place found
  # shellcheck disable=SC2046
  build_outside $(pkg_config --cflags --libs resnet-static)
  for place in "$source" "$build" "$(realpath "$source/build/deps")" "$(realpath "$source")"; do
    found=$(grep -rlaF "$place" "$prefix" || true)
    [ -z "$found" ] || fail "$place is in $found"
    # The program was compiled, and linked with $prefix, in this folder.
    found=$(grep -caF "$place" "$work/outside" || true)
    [ "$found" = 0 ] || fail "$place is in a program that is linked with resnet-static"
  done
}

# An archive outside of the linker's folders is installed; all others are named.
static_needs() {
  mkdir -p "$work/usr/lib" "$work/own"
  touch "$work/usr/lib/libz.a" "$work/own/libprotobuf-c.a"
  cmake -DSOURCE="$source" -DWORK="$work" -P "$here/static_needs.cmake" ||
    fail "the libraries are found otherwise"
}

build_project() {
  cmake -S "$here/project" -B "$work/project" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$work/project"
}

find_package() {
  install_tree
  build_project >"$work/cmake.log" 2>&1 ||
    { tail -n 30 "$work/cmake.log"; fail "the project does not build"; }
  runs "$work/project/outside_shared"
  runs "$work/project/outside_static"
}

two_libraries() {
  install_tree
  # shellcheck disable=SC2046
  build_outside "$here/clash.c" $(pkg_config --cflags --libs resnet-static)
  runs "$work/outside"
}

moved_tree() {
  install_tree
  mv "$prefix" "$work/elsewhere"
  prefix=$work/elsewhere
  "$prefix/bin/resnet" --version >/dev/null || fail "the program does not start after the move"
  # shellcheck disable=SC2046
  build_outside $(pkg_config --cflags --libs resnet) -Wl,-rpath,"$(library_dir)"
  runs "$work/outside"
}

"$check"
