# SPDX-License-Identifier: Apache-2.0
# cmake -D PAGE=page.cpp -D NAME=web_page -D FILES=/index.html|text/html|FILE;... -P embed.cmake: a page's files,
# compressed, as C++ that defines NAME of apps/dunlin/web_page.hpp.
set(arrays "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  string(REPLACE "|" ";" parts "${file}")
  list(GET parts 0 path)
  list(GET parts 1 type)
  list(GET parts 2 name)
  execute_process(COMMAND gzip -9 -n -c ${name} OUTPUT_FILE ${PAGE}.gz COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${PAGE}.gz bytes HEX)
  file(SHA256 ${PAGE}.gz hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
  string(REPLACE "\n" "\"\n    \"" bytes "${bytes}")
  string(APPEND arrays "constexpr char bytes_${number}[] =\n    \"${bytes}\";\n")
  string(APPEND rows "    {\"${path}\", \"${type}; charset=utf-8\", {bytes_${number}, sizeof bytes_${number} - 1}, \"\\\"${hash}\\\"\"},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${PAGE} "// Made by apps/web/embed.cmake.
#include \"apps/dunlin/web_page.hpp\"

namespace dunlin::app {
namespace {

${arrays}
constexpr WebFile files[] = {
${rows}};

}  // namespace

std::span<const WebFile> ${NAME}() {
    return files;
}

}  // namespace dunlin::app
")
