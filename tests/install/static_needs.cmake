# Check resnet_static_need with files in WORK; see static_needs in check.sh.
cmake_minimum_required(VERSION 3.22)
include(${SOURCE}/cmake/StaticNeeds.cmake)

function(expect name folder wanted_link wanted_archive)
  set(dirs /nowhere ${WORK}/own/../usr/lib)
  resnet_static_need(${name} ${WORK}/${folder}/lib${name}.so "${dirs}" link archive)
  if(NOT "${link}|${archive}" STREQUAL "${wanted_link}|${wanted_archive}")
    message(FATAL_ERROR "${name}: ${link}|${archive}, not ${wanted_link}|${wanted_archive}")
  endif()
endfunction()

expect(z usr/lib -lz "")
expect(XNNPACK usr/lib -lXNNPACK "")
expect(protobuf-c own "" ${WORK}/own/libprotobuf-c.a)
expect(cpuinfo own -lcpuinfo "")
