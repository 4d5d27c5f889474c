# Find the libraries that are linked in. tools/deps builds XNNPACK into build/deps/prefix.
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
find_program(PROTOC_C NAMES protoc-c REQUIRED)
add_library(resnet_protobuf_c INTERFACE)
target_link_libraries(resnet_protobuf_c INTERFACE PkgConfig::PROTOBUF_C)

# xxHash is compiled into the library from its header, whose first comment is its licence.
# XXH3 is stable since version 0.8.
find_path(XXHASH_INCLUDE_DIR xxhash.h)
set(xxhash_version 0)
if(XXHASH_INCLUDE_DIR)
  file(READ ${XXHASH_INCLUDE_DIR}/xxhash.h xxhash_text)
  if(xxhash_text MATCHES "XXH_VERSION_MAJOR +([0-9]+)\n.*XXH_VERSION_MINOR +([0-9]+)\n")
    set(xxhash_version ${CMAKE_MATCH_1}.${CMAKE_MATCH_2})
  endif()
endif()
if(xxhash_version VERSION_LESS 0.8)
  message(FATAL_ERROR "xxhash.h of version 0.8 or later was not found: run tools/deps, or install "
    "libxxhash-dev (Debian), xxhash-devel (Fedora) or xxhash (Arch, Homebrew)")
endif()
add_library(resnet_xxhash INTERFACE)
target_include_directories(resnet_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})
string(FIND "${xxhash_text}" "*/" end)
string(SUBSTRING "${xxhash_text}" 0 ${end} xxhash_licence)
string(REGEX REPLACE "(^|\n)[ /]?[*] ?" "\\1" xxhash_licence "${xxhash_licence}")
file(WRITE ${PROJECT_BINARY_DIR}/licences/xxhash "${xxhash_licence}")
# The program contains the names of ImageNet's classes.
configure_file(${PROJECT_SOURCE_DIR}/models/imagenet-labels.LICENSE
  ${PROJECT_BINARY_DIR}/licences/imagenet-labels COPYONLY)

set(RESNET_DEPS ${PROJECT_SOURCE_DIR}/build/deps CACHE PATH "The folder that tools/deps filled")
mark_as_advanced(RESNET_DEPS)
set(deps_prefix ${RESNET_DEPS}/prefix)
# The system's XNNPACK may be several times slower than ours, and its pthreadpool waits
# for threads that other programs keep from their CPU: see docs/install.md.
if("$ENV{RESNET_SYSTEM_XNNPACK}" STREQUAL "1")
  set(system_xnnpack ON)
else()
  set(system_xnnpack OFF)
endif()
option(RESNET_SYSTEM_XNNPACK
  "Take XNNPACK, pthreadpool and cpuinfo from the system or CMAKE_PREFIX_PATH" ${system_xnnpack})
if(RESNET_SYSTEM_XNNPACK)
  find_path(XNNPACK_INCLUDE_DIR xnnpack.h)
  find_library(XNNPACK_LIBRARY XNNPACK)
  find_library(XNNPACK_MICROKERNELS microkernels-prod)
  find_library(PTHREADPOOL_LIBRARY pthreadpool)
  find_library(CPUINFO_LIBRARY cpuinfo)
  find_path(CPUINFO_INCLUDE_DIR cpuinfo.h)
else()
  set(XNNPACK_INCLUDE_DIR ${deps_prefix}/include)
  set(XNNPACK_LIBRARY ${deps_prefix}/lib/libXNNPACK.a)
  set(XNNPACK_MICROKERNELS ${deps_prefix}/lib/libmicrokernels-prod.a)
  set(CPUINFO_LIBRARY ${deps_prefix}/lib/libcpuinfo.a)
  set(CPUINFO_INCLUDE_DIR ${deps_prefix}/include)
  set(pool ${RESNET_DEPS}/pool)
  # A build that ThreadSanitizer follows.
  if(RESNET_SANITIZE MATCHES "thread" AND EXISTS ${pool}-tsan)
    set(pool ${pool}-tsan)
  endif()
  set(PTHREADPOOL_INCLUDE_DIR ${pool})
  set(PTHREADPOOL_LIBRARY ${pool}/libpthreadpool.a)
  # runtime/system/pthreadpool.c sees pthreadpool's structs as tools/deps compiled them.
  set(pthreadpool_definitions PTHREADPOOL_USE_CPUINFO=0 PTHREADPOOL_USE_GCD=0
    PTHREADPOOL_USE_EVENT=0 PTHREADPOOL_USE_FUTEX=0 PTHREADPOOL_USE_CONDVAR=0)
endif()
foreach(found XNNPACK_INCLUDE_DIR XNNPACK_LIBRARY PTHREADPOOL_LIBRARY CPUINFO_LIBRARY
    CPUINFO_INCLUDE_DIR)
  if(NOT ${found} OR NOT EXISTS ${${found}})
    message(FATAL_ERROR "${found} is ${${found}}, which does not exist: run tools/deps, which "
      "builds XNNPACK once, or set RESNET_SYSTEM_XNNPACK (docs/install.md, 'Other systems')")
  endif()
endforeach()
file(STRINGS ${XNNPACK_INCLUDE_DIR}/xnnpack.h has_reshape REGEX "xnn_reshape_convolution2d_nhwc")
if(NOT has_reshape)
  message(FATAL_ERROR "${XNNPACK_INCLUDE_DIR}/xnnpack.h is too old (it lacks "
    "xnn_reshape_convolution2d_nhwc): run tools/deps")
endif()

# List the libraries in the order that a linker needs. Archives are merged into
# libresnet.a; the system's shared libraries are not.
set(resnet_kernels ${XNNPACK_LIBRARY})
if(XNNPACK_MICROKERNELS)
  list(APPEND resnet_kernels ${XNNPACK_MICROKERNELS})
endif()
list(APPEND resnet_kernels ${PTHREADPOOL_LIBRARY} ${CPUINFO_LIBRARY})
set(RESNET_ARCHIVES ${resnet_kernels})
list(FILTER RESNET_ARCHIVES INCLUDE REGEX "\\.a$")
set(RESNET_SHARED_LIBRARIES ${resnet_kernels})
list(FILTER RESNET_SHARED_LIBRARIES EXCLUDE REGEX "\\.a$")

add_library(resnet_xnnpack INTERFACE)
target_include_directories(resnet_xnnpack SYSTEM INTERFACE
  ${XNNPACK_INCLUDE_DIR} ${PTHREADPOOL_INCLUDE_DIR} ${CPUINFO_INCLUDE_DIR})
target_link_libraries(resnet_xnnpack INTERFACE ${resnet_kernels} Threads::Threads m)
