# SPDX-License-Identifier: Apache-2.0
# cmake -DLIST=FILE -DOUT=FILE -P DunlinEmbed.cmake: a C++ table of the files that LIST names, a line each: where the
# file is, then what it is called in the table.
file(STRINGS ${LIST} lines)
set(table "")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^(.*) ([^ ]+)$" found "${line}")
  set(name "${CMAKE_MATCH_2}")
  file(READ "${CMAKE_MATCH_1}" text)
  string(APPEND table "    {\"${name}\", R\"text(" "${text}" ")text\"sv},\n")
endforeach()
file(WRITE ${OUT}.new "// SPDX-License-Identifier: Apache-2.0
// Made by cmake/DunlinEmbed.cmake.
#include \"training/models/bundle_sources.hpp\"

namespace dunlin {
namespace {

using namespace std::string_view_literals;  // a text that knows its length needs no compiler to count it

constexpr BundleSource all[] = {
${table}};

}  // namespace

std::span<const BundleSource> bundle_sources() {
    return all;
}

}  // namespace dunlin
")
file(RENAME ${OUT}.new ${OUT})
