// SPDX-License-Identifier: Apache-2.0
#include "training/host/failure.hpp"

#include <cerrno>
#include <cstring>

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Matchers::Contains;

TEST_CASE("every error code is told in one line with its two numbers") {
    for (const int section : {1, 100, 200, 300, 400, 500, 600, 700}) {
        // The compiler names a code without a sentence; the last of a section is not known here.
        int code = section;
        for (std::string text; (text = describe({static_cast<Code>(code), 41, 43}, "somewhere").text),
                               text.find("unknown error") == std::string::npos;
             ++code) {
            INFO(code << ": " << text);
            CHECK(text.rfind("somewhere: ", 0) == 0);
            CHECK(text.size() > std::strlen("somewhere: ") + 10);
            CHECK(text.find_first_of("{}\n") == std::string::npos);
        }
        CHECK(code > section + 2);
        CHECK(code < section + 100);
    }
}

TEST_CASE("a failure is told from wrong input") {
    for (const Error& error : {Error{Code::file_unwritable, ENOSPC},
                               {Code::file_unwritable, EACCES},
                               {Code::not_durable, EIO},
                               {Code::store_damaged},
                               {Code::link_failed, EADDRINUSE}})
        CHECK(describe(error, "x").unable);
    for (const Error& error : {Error{Code::file_missing},
                               {Code::file_unwritable, ENOTDIR},
                               {Code::bad_key, 3},
                               {Code::unknown_job, 3},
                               {Code::file_checksum}})
        CHECK_FALSE(describe(error, "x").unable);
    CHECK(unable("no room").value().unable);
    CHECK_FALSE(refuse("no such thing").value().unable);
}

TEST_CASE("a failure says where, what and what to do") {
    CHECK_THAT(describe({Code::goal_in_wall, 2, 3}, "a.map").text,
               Contains("a.map") && Contains("row 2, column 3") && Contains("choose"));
    CHECK_THAT(describe({Code::file_unwritable, ENOSPC}, "out/run").text,
               Contains("out/run") && Contains(std::strerror(ENOSPC)));
    CHECK_THAT(describe({Code::file_version, 9, 1}, "p").text, Contains("version 9") && Contains("update"));
}
