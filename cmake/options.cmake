option(KRAFTD_TESTS "Build the tests" ON)
# Warnings are errors with the compilers this is developed with. Another version finds other things:
# a newcomer's build must not stop at them.
set(KRAFTD_WERROR_DEFAULT OFF)
if((CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION MATCHES "^12\\.") OR
   (CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION MATCHES "^14\\."))
  set(KRAFTD_WERROR_DEFAULT ON)
endif()
option(KRAFTD_WERROR "Treat warnings as errors" ${KRAFTD_WERROR_DEFAULT})
set(KRAFTD_SANITIZE "" CACHE STRING "Sanitizers: empty, address, thread or fuzzer")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

# libraft's headers and ours share memory through unions: strict aliasing is known to break it.
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter
  -Wno-missing-field-initializers -fno-strict-aliasing -fno-omit-frame-pointer
  -D_GNU_SOURCE)
if(KRAFTD_WERROR)
  add_compile_options(-Werror)
  # GCC guesses at maybe-uninitialized, differently at each optimisation level: it warns only.
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-error=maybe-uninitialized)
  endif()
endif()
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)

# Switches that make the node wrong on purpose: only where tests are built (common/base/mutation.h).
if(KRAFTD_TESTS)
  add_compile_definitions(KRAFTD_MUTATIONS)
endif()

if(KRAFTD_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(KRAFTD_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(KRAFTD_SANITIZE STREQUAL "fuzzer")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

# kraftd_library(NAME DEPENDS ... EXTRA generated sources) makes a static library of every .c of the folder.
function(kraftd_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS;EXTRA" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(sources OR arg_EXTRA)
    add_library(${name} STATIC ${sources} ${arg_EXTRA})
    target_link_libraries(${name} PUBLIC ${arg_DEPENDS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${arg_DEPENDS})
  endif()
endfunction()

# Test builds can switch single safeguards off at run time, to prove that a test notices.
if(KRAFTD_TESTS)
  add_compile_definitions(KRAFTD_MUTATIONS)
endif()
