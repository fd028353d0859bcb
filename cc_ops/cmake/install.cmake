# Installs the library for C and C++: library, header, CMake package, pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(keras_bnn::keras_bnn ALIAS keras_bnn)
target_include_directories(keras_bnn INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
if(NOT ANDROID)  # which packages libraries by their plain names
  set_target_properties(keras_bnn PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
endif()
install(TARGETS keras_bnn EXPORT keras_bnn
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(FILES include/keras_bnn/keras_bnn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/keras_bnn COMPONENT development)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/keras_bnn)
install(EXPORT keras_bnn NAMESPACE keras_bnn:: FILE keras_bnnConfig.cmake DESTINATION ${package_dir}
  COMPONENT development)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/keras_bnnConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/keras_bnnConfigVersion.cmake DESTINATION ${package_dir} COMPONENT development)

# Folders below the prefix are found from where the file lies, so that the prefix can move.
set(pc_prefix ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${up}")
endif()
foreach(kind LIB INCLUDE)
  set(pc_${kind}DIR ${CMAKE_INSTALL_${kind}DIR})
  if(NOT IS_ABSOLUTE "${pc_${kind}DIR}")
    string(PREPEND pc_${kind}DIR "\${prefix}/")
  endif()
endforeach()
configure_file(cmake/keras_bnn.pc.in keras_bnn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/keras_bnn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)
