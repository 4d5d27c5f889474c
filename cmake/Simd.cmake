# Compile each source in runtime/kernels/simd, the inner loops of our own kernels, once
# for each instruction set. dispatch.c chooses a set at run time.

set(simd ${PROJECT_SOURCE_DIR}/runtime/kernels/simd)
set(simd_dispatch ${simd}/dispatch.c)
file(GLOB simd_families CONFIGURE_DEPENDS ${simd}/*.c)
list(REMOVE_ITEM simd_families ${simd_dispatch})

# Sanitizers check each access to memory: with -O3, and with all checks, the largest
# family compiles for minutes. AddressSanitizer or the CPU reports what these four do.
set(simd_options -O3)
if(RESNET_SANITIZE)
  set(simd_options -O2 -fno-sanitize=alignment,null,pointer-overflow,object-size)
endif()

# Families may contract a * b + c, except elementwise, which must give the same bits with
# every set.
set_source_files_properties(${simd_families} PROPERTIES
  COMPILE_OPTIONS "${simd_options};-ffp-contract=fast")
set_source_files_properties(${simd}/elementwise.c PROPERTIES COMPILE_OPTIONS "${simd_options}")

set(simd_objects)
set(simd_sets)
set(simd_level 0)

# add_simd_set(NAME BYTES [FLAGS FLAG...] [NEEDS FEATURE...])
# Compile the families with FLAGS for vectors of BYTES. A CPU runs the set if
# __builtin_cpu_supports() returns true for every FEATURE. The set's level, which
# RESNET_VECTORS limits, is the number of sets added before it: add slower sets first.
function(add_simd_set name bytes)
  cmake_parse_arguments(PARSE_ARGV 2 set "" "" "FLAGS;NEEDS")
  set(target resnet_simd_${name})
  add_library(${target} OBJECT ${simd_families})
  target_include_directories(${target} PRIVATE include ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE SIMD_NAME=${name} SIMD_BYTES=${bytes})
  target_compile_options(${target} PRIVATE ${set_FLAGS})
  target_link_libraries(${target} PRIVATE resnet_settings)

  list(TRANSFORM set_NEEDS REPLACE "(.+)" "__builtin_cpu_supports(\"\\1\")")
  list(JOIN set_NEEDS " && " runs)
  if(NOT runs)
    set(runs 1)
  endif()
  set(simd_sets "SIMD_SET(${simd_level}, ${name}, ${bytes}, ${runs})\n${simd_sets}" PARENT_SCOPE)
  set(simd_objects ${simd_objects} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
  math(EXPR next "${simd_level} + 1")
  set(simd_level ${next} PARENT_SCOPE)
endfunction()

add_simd_set(portable 16)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_simd_set(avx2 32 FLAGS -mavx2 -mfma NEEDS avx2 fma)
  add_simd_set(avx512 64
    FLAGS -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512
    NEEDS avx512f avx512bw avx512vl avx512dq)
endif()

# Write the list of sets for dispatch.c, the fastest first.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/simd_sets.h
  CONTENT "/* Written by cmake/Simd.cmake for dispatch.c. */\n${simd_sets}" @ONLY)
set_source_files_properties(${simd_dispatch} PROPERTIES
  INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR}/generated)
