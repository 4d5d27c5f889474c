# resnet_static_need(NAME FILE SYSTEM_DIRS LINK ARCHIVE): find out how a program that is
# linked with libresnet.a gets the library NAME, which this build found as FILE.
#   LINK: what the linker is given: -lNAME, or empty if ARCHIVE is to be installed
#   ARCHIVE: the archive to install with libresnet.a, or empty. The linker finds none in
#            a folder that is not in SYSTEM_DIRS, and the folder's path must not get into
#            a file that is installed.
function(resnet_static_need name file system_dirs link archive)
  set(${link} -l${name} PARENT_SCOPE)
  set(${archive} "" PARENT_SCOPE)
  get_filename_component(folder "${file}" DIRECTORY)
  get_filename_component(folder "${folder}" REALPATH)
  set(found ${folder}/lib${name}.a)
  foreach(dir IN LISTS system_dirs)
    get_filename_component(dir "${dir}" REALPATH)
    if(dir STREQUAL folder)
      if(NOT EXISTS ${found})
        message(STATUS "${folder} has no lib${name}.a: programs can be linked with "
          "resnet-static, but not with -static")
      endif()
      return()
    endif()
  endforeach()
  if(EXISTS ${found})
    set(${link} "" PARENT_SCOPE)
    set(${archive} ${found} PARENT_SCOPE)
  endif()
endfunction()
