// SPDX-License-Identifier: Apache-2.0
#pragma once

// toml++, as every file of Dunlin that reads TOML takes it in.

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1  // the packaged library is built with exceptions

// Version 3.3 assumes that a value never begins with what ends one, and `a = [}]` breaks that: an assertion ends a debug
// build, and clang may do anything. Without the assumption the parser goes on to its own refusal.
#if __has_include(<toml++/impl/preprocessor.h>)
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expression) static_assert(true)
#endif

#include <toml++/toml.h>
