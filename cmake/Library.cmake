# Build the library in three forms from the same objects:
#   resnet_internal  archive of all objects, for tests, which call internal functions
#   resnet_static    libresnet.a for users: one object, where only resnet_* is global
#   resnet_shared    libresnet.so: exports only resnet_*
# The last two contain XNNPACK.
set(resnet_objects
  $<TARGET_OBJECTS:resnet_loader> $<TARGET_OBJECTS:resnet_runtime> ${simd_objects})
set(resnet_system_libraries resnet_protobuf_c ZLIB::ZLIB Threads::Threads m)

add_library(resnet_internal STATIC ${resnet_objects})
target_link_libraries(resnet_internal PUBLIC resnet_xnnpack ${resnet_system_libraries})
# pthreadpool's archive comes later in the link and calls our threads: link them even if
# no other object calls them.
if(NOT RESNET_SYSTEM_XNNPACK AND NOT APPLE)
  target_link_options(resnet_internal INTERFACE -Wl,-u,pthreadpool_create)
endif()

add_library(resnet_shared SHARED ${resnet_objects})
target_include_directories(resnet_shared PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(resnet_shared PRIVATE
  resnet_settings resnet_xnnpack ${resnet_system_libraries})
target_link_options(resnet_shared PRIVATE
  -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map
  -Wl,--exclude-libs,ALL -Wl,--gc-sections)
set_target_properties(resnet_shared PROPERTIES
  OUTPUT_NAME resnet VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)

# A sanitizer's symbols must stay global, so programs get the shared library.
if(RESNET_SANITIZE)
  add_library(resnet_static INTERFACE)
  target_link_libraries(resnet_static INTERFACE resnet_shared)
  return()
endif()

# Make internal names local: two copies of XNNPACK in one program would clash, and so
# might our own short names. Without objcopy, as on macOS, the names stay global. Dissolve
# section groups, or the linker would replace ours by those of another XNNPACK.
include(CheckLinkerFlag)
check_linker_flag(C -Wl,--force-group-allocation RESNET_LINKER_DISSOLVES_GROUPS)
set(resnet_one ${PROJECT_BINARY_DIR}/libresnet.o)
if(CMAKE_OBJCOPY)
  set(localise COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=resnet_* ${resnet_one})
endif()
add_custom_command(OUTPUT ${resnet_one}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib
          $<$<BOOL:${RESNET_LINKER_DISSOLVES_GROUPS}>:-Wl,--force-group-allocation>
          -o ${resnet_one} ${resnet_objects} ${RESNET_ARCHIVES}
  ${localise}
  DEPENDS ${resnet_objects} ${RESNET_ARCHIVES}
  COMMENT "Joining the objects into one that shows only resnet_*" COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties(${resnet_one} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
add_library(resnet_static STATIC ${resnet_one})
target_include_directories(resnet_static PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(resnet_static INTERFACE RESNET_STATIC)
target_link_libraries(resnet_static PRIVATE ${RESNET_SHARED_LIBRARIES} ${resnet_system_libraries})
set_target_properties(resnet_static PROPERTIES OUTPUT_NAME resnet LINKER_LANGUAGE C)
