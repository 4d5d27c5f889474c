# Install the header, libraries, pkg-config files, CMake package and licences.
# bindings/cli installs the program.
include(CMakePackageConfigHelpers)

# List the libraries that a program needs besides libresnet.a. The system's XNNPACK is one
# of them if it is used.
set(resnet_needs)
foreach(library ${RESNET_SHARED_LIBRARIES})
  get_filename_component(name ${library} NAME_WE)
  string(REGEX REPLACE "^lib" "" name ${name})
  list(APPEND resnet_needs ${name})
endforeach()
list(APPEND resnet_needs protobuf-c z m)
if(NOT RESNET_SYSTEM_XNNPACK)
  install(DIRECTORY ${deps_prefix}/licences DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libresnet)
endif()
install(DIRECTORY ${PROJECT_BINARY_DIR}/licences DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libresnet)

install(FILES include/resnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS resnet_shared resnet_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libresnet)

# These files hold paths relative to themselves, so that users may move an installed tree.
file(RELATIVE_PATH RESNET_PREFIX_FROM_PC
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH RESNET_PREFIX_FROM_CMAKE
  ${CMAKE_INSTALL_FULL_LIBDIR}/cmake/resnet ${CMAKE_INSTALL_PREFIX})
list(TRANSFORM resnet_needs PREPEND -l OUTPUT_VARIABLE resnet_flags)
list(JOIN resnet_flags " " resnet_flags)
set(RESNET_PRIVATE_FLAGS "${resnet_flags} -pthread")
foreach(name resnet resnet-static)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

configure_file(cmake/resnet-config.cmake.in ${PROJECT_BINARY_DIR}/resnet-config.cmake @ONLY)
set(resnet_config_version ${PROJECT_BINARY_DIR}/resnet-config-version.cmake)
write_basic_package_version_file(${resnet_config_version} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/resnet-config.cmake ${resnet_config_version}
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/resnet)
