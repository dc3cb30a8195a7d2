// SPDX-License-Identifier: Apache-2.0
#include "training/host/plain_text.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Matchers::Contains;

TEST_CASE("text from outside reaches no terminal as anything but text") {
    CHECK(shown("kitchen, K\xc3\xbc"
                "che, \xe5\x8f\xb0\xe6\x89\x80, \xf0\x9f\xa6\x86") ==
          "kitchen, K\xc3\xbc"
          "che, \xe5\x8f\xb0\xe6\x89\x80, \xf0\x9f\xa6\x86");
    CHECK(shown("a\x1b[2Jb") == "a\\u001b[2Jb");
    CHECK(shown("a\x7f\xc2\x9b"
                "31mb") == "a\\u007f\\u009b31mb");  // DEL, and C1's one-byte CSI
    CHECK(shown("\xe2\x80\xae"
                "cod.exe\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf") == "\\u202ecod.exe\\u2066\\u061c\\ufeff");
    CHECK(shown("\xe2\x80\xa8\xe2\x80\x8b") == "\\u2028\\u200b");
    CHECK(shown("a\nb\tc\rd") == "a\nb\tc\\u000dd");
    CHECK(shown("a\nb\tc", false) == "a\\u000ab\\u0009c");
    // Overlong, cut short, a surrogate, beyond Unicode: never a byte that a terminal may take for something.
    for (const char* bad : {"\xff", "\xc0\xaf", "\xe2\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x9b"}) {
        for (const char byte : shown(bad)) CHECK((byte == '\xef' || byte == '\xbf' || byte == '\xbd'));
    }
}

TEST_CASE("a name that travels is said to be wrong for what is wrong with it") {
    CHECK(name_fault("kitchen-K\xc3\xbc"
                     "che",
                     64)
              .empty());
    CHECK(name_fault(std::string(64, 'n'), 64).empty());
    CHECK_THAT(name_fault("", 64), Contains("empty"));
    CHECK_THAT(name_fault(std::string(65, 'n'), 64), Contains("65") && Contains("64"));
    CHECK_THAT(name_fault("a\xc2\x85"
                          "c",
                          64),
               Contains("U+0085") && Contains("byte 2"));
    CHECK_THAT(name_fault("zz\xff", 64), Contains("UTF-8") && Contains("byte 3"));
    CHECK_THAT(name_fault("a\nb", 64), Contains("U+000A"));
    CHECK_THAT(name_fault("a\xe2\x80\xae"
                          "b",
                          64),
               Contains("U+202E"));
}
