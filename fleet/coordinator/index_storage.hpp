// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/index.hpp"
#include "fleet/coordinator/sqlite.hpp"

namespace dunlin {

struct Index::Storage {
    Database database;

    Result<std::int64_t> meta(const char* name) {
        Statement found(database, "SELECT value FROM meta WHERE name = ?");
        found.bind(std::string_view(name));
        const std::int64_t value = found.next() ? found.integer(0) : 0;
        return found.ended().map([value] { return value; });
    }
    Result<void> set_meta(const char* name, std::int64_t value) {
        return Statement(database, "INSERT OR REPLACE INTO meta VALUES (?, ?)")
            .bind(std::string_view(name))
            .bind(value)
            .run();
    }
};

}  // namespace dunlin
