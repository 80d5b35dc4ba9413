# A prefix laid out as people know it from /opt/kafka: bin/kafka-*.sh, config/server.properties.
# The tools are links to one binary, so a link is installed for each that the build made.
foreach(target kraftd kraftd-tools)
  if(TARGET ${target})
    install(TARGETS ${target} RUNTIME DESTINATION bin)
  endif()
endforeach()
install(CODE "
  file(GLOB tools \"${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/kafka-*\"
       \"${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/kraftd-status*\"
    \"${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/zookeeper-*\")
  file(INSTALL \${tools} DESTINATION \"\${CMAKE_INSTALL_PREFIX}/bin\" USE_SOURCE_PERMISSIONS)
")
install(FILES config/server.properties DESTINATION config)
install(FILES LICENSE README.md DESTINATION .)
