# SPDX-License-Identifier: GPL-2.0-or-later
# A room is a folder with one target and private include paths: it sees its own headers, the
# public ones, and those of the rooms it USES.  A forbidden include does not compile.

# -Wsign-conversion comes with -Wconversion in C.
add_library(vnic_flags INTERFACE)
target_compile_options(vnic_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla)
target_compile_definitions(vnic_flags INTERFACE _GNU_SOURCE)
target_include_directories(vnic_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
if(VNIC_ANALYZER)
  target_compile_options(vnic_flags INTERFACE -include ${PROJECT_SOURCE_DIR}/cmake/analyzer.h)
endif()

# The coverage build counts what runs in the rooms; see coverage.c.
add_library(vnic_coverage INTERFACE)
if(VNIC_COVERAGE)
  add_library(vnic_counters OBJECT ${PROJECT_SOURCE_DIR}/cmake/coverage.c)
  target_compile_definitions(vnic_counters PRIVATE _GNU_SOURCE)
  target_compile_options(vnic_coverage INTERFACE
    -fprofile-arcs -ftest-coverage -fprofile-update=atomic -fdata-sections)
  target_link_libraries(vnic_coverage INTERFACE $<TARGET_OBJECTS:vnic_counters>)
  target_link_options(vnic_coverage INTERFACE --coverage -Wl,-T,${PROJECT_SOURCE_DIR}/cmake/coverage.ld
    -Wl,--wrap=__gcov_exit,--wrap=__gcov_fork,--wrap=__gcov_execvp -Wl,--exclude-libs,libgcov.a)
endif()

set_property(GLOBAL PROPERTY vnic_rooms "")

function(vnic_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(vnic_${name} OBJECT ${ROOM_SOURCES})
  target_link_libraries(vnic_${name} PRIVATE vnic_flags vnic_coverage ${ROOM_LIBRARIES})
  target_include_directories(vnic_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  foreach(used IN LISTS ROOM_USES)
    if(NOT TARGET vnic_${used})
      message(FATAL_ERROR "${name} may not use ${used}: it does not stand below it")
    endif()
    target_include_directories(vnic_${name} PRIVATE ${PROJECT_SOURCE_DIR}/${used})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY vnic_rooms ${name})
  set_property(GLOBAL APPEND PROPERTY vnic_room_libraries ${ROOM_LIBRARIES})
endfunction()

# libvnic, static and shared, of all rooms so far; and vnic_rooms, an archive for our own programs, which see what rooms
# share.  In a user's program that would be in the way of the user's names (`loop_add`), so the static library is one
# object in which only what is VNIC_API is global.
function(vnic_library)
  get_property(rooms GLOBAL PROPERTY vnic_rooms)
  get_property(libraries GLOBAL PROPERTY vnic_room_libraries)
  list(REMOVE_DUPLICATES libraries)
  set(objects "")
  foreach(room IN LISTS rooms)
    list(APPEND objects $<TARGET_OBJECTS:vnic_${room}>)
  endforeach()
  list(TRANSFORM rooms PREPEND vnic_)
  add_library(vnic_rooms STATIC ${objects})
  target_link_libraries(vnic_rooms PRIVATE vnic_coverage ${libraries})
  add_custom_command(OUTPUT vnic.o
    COMMAND ${CMAKE_LINKER} -r -o vnic.o ${objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden vnic.o
    DEPENDS ${rooms} ${objects} COMMAND_EXPAND_LISTS VERBATIM) # make(1) has no rules for other folders' objects
  add_library(vnic_static STATIC vnic.o)
  add_library(vnic_shared SHARED ${objects})
  foreach(kind static shared)
    set_target_properties(vnic_${kind} PROPERTIES OUTPUT_NAME vnic LINKER_LANGUAGE C
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    target_include_directories(vnic_${kind} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
    target_link_libraries(vnic_${kind} PRIVATE vnic_coverage ${libraries})
    install(TARGETS vnic_${kind}
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endforeach()
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/vnic DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  # The prefix is found from where the file stands, so that `cmake --install --prefix` may choose another; but folders
  # that are whole paths, as some packagers give them, stand beside it.
  foreach(dir LIBDIR INCLUDEDIR)
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
      set(pc_${dir} ${CMAKE_INSTALL_${dir}})
    endif()
  endforeach()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(pc_prefix "\${pcfiledir}/${up}")
  if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  endif()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/vnic.pc.in ${PROJECT_BINARY_DIR}/vnic.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/vnic.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
