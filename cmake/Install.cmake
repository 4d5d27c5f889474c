# Install the header, libraries, pkg-config files, CMake package and licences.
# bindings/cli installs the program.
include(CMakePackageConfigHelpers)

# List what a program needs besides libresnet.a: libraries that the linker finds, and
# archives that are installed into LIBDIR/resnet. A shared XNNPACK of the system is one of
# the former, and has no archive.
include(cmake/StaticNeeds.cmake)
set(resnet_needs)
set(resnet_archives)
set(zlib_file ${ZLIB_LIBRARY_RELEASE})
if(NOT zlib_file)
  list(GET ZLIB_LIBRARIES 0 zlib_file)
endif()
foreach(library ${RESNET_SHARED_LIBRARIES} ${pkgcfg_lib_PROTOBUF_C_protobuf-c} ${zlib_file})
  get_filename_component(name ${library} NAME_WE)
  string(REGEX REPLACE "^lib" "" name ${name})
  resnet_static_need(${name} ${library} "${CMAKE_C_IMPLICIT_LINK_DIRECTORIES}" link archive)
  list(APPEND resnet_needs ${link})
  if(archive)
    install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR}/resnet)
    list(APPEND resnet_archives lib${name}.a)
  endif()
endforeach()
list(APPEND resnet_needs -lm)
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
list(TRANSFORM resnet_archives PREPEND "\${libdir}/resnet/" OUTPUT_VARIABLE resnet_flags)
list(APPEND resnet_flags ${resnet_needs} -pthread)
list(JOIN resnet_flags " " RESNET_PRIVATE_FLAGS)
list(TRANSFORM resnet_archives PREPEND "\${_resnet_libdir}/resnet/"
  OUTPUT_VARIABLE resnet_link_items)
list(APPEND resnet_link_items ${resnet_needs})
foreach(name resnet resnet-static)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

configure_file(cmake/resnet-config.cmake.in ${PROJECT_BINARY_DIR}/resnet-config.cmake @ONLY)
set(resnet_config_version ${PROJECT_BINARY_DIR}/resnet-config-version.cmake)
write_basic_package_version_file(${resnet_config_version} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/resnet-config.cmake ${resnet_config_version}
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/resnet)
