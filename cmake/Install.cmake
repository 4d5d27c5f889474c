# cmake --install: header, libraries, pkg-config files, CMake package, licences. (bindings/cli installs the program.)
include(CMakePackageConfigHelpers)

# Shared libraries that tools/deps fetched (libpthreadpool, libcpuinfo) go along, in a folder of their own; the system's
# do not.
set(resnet_needs)
foreach(library ${RESNET_SHARED_LIBRARIES})
  get_filename_component(name ${library} NAME_WE)
  string(REGEX REPLACE "^lib" "" name ${name})
  list(APPEND resnet_needs ${name})
  string(FIND ${library} ${deps_prefix}/ place)
  if(place EQUAL 0)
    file(GLOB files ${deps_prefix}/lib/lib${name}.so*)
    install(FILES ${files} DESTINATION ${CMAKE_INSTALL_LIBDIR}/resnet)
    set(resnet_search "-L\${libdir}/resnet -Wl,-rpath,\${libdir}/resnet")
  endif()
endforeach()
list(APPEND resnet_needs protobuf-c z m)
if(resnet_search)
  file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(resnet_shared PROPERTIES INSTALL_RPATH "$ORIGIN/resnet")
  if(TARGET resnet)
    set_target_properties(resnet PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}/resnet")
  endif()
endif()
if(EXISTS ${deps_prefix}/licences)
  install(DIRECTORY ${deps_prefix}/licences DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libresnet)
endif()

install(FILES include/resnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS resnet_shared resnet_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libresnet)

# Paths in these files are relative to the files, so that an installed tree may be moved.
file(RELATIVE_PATH RESNET_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH RESNET_PREFIX_FROM_CMAKE ${CMAKE_INSTALL_FULL_LIBDIR}/cmake/resnet ${CMAKE_INSTALL_PREFIX})
list(TRANSFORM resnet_needs PREPEND -l OUTPUT_VARIABLE resnet_flags)
list(JOIN resnet_flags " " resnet_flags)
set(RESNET_PRIVATE_FLAGS "${resnet_search} ${resnet_flags} -pthread")
foreach(name resnet resnet-static)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

configure_file(cmake/resnet-config.cmake.in ${PROJECT_BINARY_DIR}/resnet-config.cmake @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/resnet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/resnet-config.cmake ${PROJECT_BINARY_DIR}/resnet-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/resnet)
