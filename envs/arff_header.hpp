// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/table_header.hpp"

namespace dunlin {

/// "@relation name", "@attribute name type" for each column, "@data". Takes the lines up to @data. Errors:
/// parse_arff's.
FileResult<TableHeader> read_arff_header(Lines& lines, const TableChoice& choice);

}  // namespace dunlin
