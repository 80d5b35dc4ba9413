# The table of configuration keys is made from configs.tsv.
set(config_folder ${CMAKE_CURRENT_LIST_DIR})
set(config_generated ${CMAKE_BINARY_DIR}/generated/metadata/config)
set(config_outputs ${config_generated}/config_ids.h ${config_generated}/config_table.c)
add_custom_command(
  OUTPUT ${config_outputs}
  COMMAND Python3::Interpreter -B ${config_folder}/generate.py ${config_folder}/configs.tsv
    ${config_generated}
  DEPENDS ${config_folder}/configs.tsv ${config_folder}/generate.py
  COMMENT "Generating the table of configuration keys")
