# resnet_embed_file(TARGET FILE SYMBOL): compile the bytes of FILE into TARGET as
#   const unsigned char SYMBOL[];  const size_t SYMBOL_size;
# FILE may be "": then SYMBOL_size is 0. The build also runs this file as a script, which
# writes the C source.
if(CMAKE_SCRIPT_MODE_FILE)
  set(bytes "0")
  set(size 0)
  if(INPUT)
    file(READ "${INPUT}" hex HEX)
    string(LENGTH "${hex}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  endif()
  file(WRITE "${OUTPUT}"
    "#include <stddef.h>\n"
    "extern const unsigned char ${SYMBOL}[];\nextern const size_t ${SYMBOL}_size;\n"
    "const unsigned char ${SYMBOL}[] = {\n${bytes}};\nconst size_t ${SYMBOL}_size = ${size};\n")
  return()
endif()

set(RESNET_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(resnet_embed_file target file symbol)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DSYMBOL=${symbol}
            -P ${RESNET_EMBED_SCRIPT}
    DEPENDS ${file} ${RESNET_EMBED_SCRIPT} COMMENT "Embedding ${file}" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
