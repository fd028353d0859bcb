# The shared library exports its C interface and nothing else. Variables: NM, LIBRARY.
execute_process(COMMAND ${NM} -D --defined-only ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
foreach(line IN LISTS lines)
  if(NOT line MATCHES " T (tflite_plugin_(create|destroy)_delegate|KerasBnn[A-Za-z]+)$")
    message(SEND_ERROR "${LIBRARY} exports ${line}")
  endif()
endforeach()
