// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"
#include "training/settings/settings.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A setting that is one method's alone: [methods.NAME] KEY = VALUE in a document, or "NAME:KEY=VALUE" on a command
/// line. KEY is a setting's, or its last part (inner_rate) where the method's own section, or else that of the method's
/// name, has one; "objective." may stand before it.
struct MethodSetting {
    std::string method;
    std::string assignment;  ///< KEY=VALUE, as `Settings::set` takes it

    std::string text() const { return method + ":" + assignment; }
};

/// Those of a document's [methods] section, in order. Errors: the document is none, or a section holds what is no value.
Outcome<std::vector<MethodSetting>> method_settings(std::string_view toml, std::string_view where);

/// The parts of "NAME:KEY=VALUE"; an empty method where there is no such prefix.
MethodSetting split_method(std::string_view assignment);

/// The assignment with the whole key that KEY stands for among these settings. Errors: no setting, or several.
/// `method_key` is the setting that names methods.
Outcome<std::string> whole_key(const Settings& settings, std::string_view method_key, const MethodSetting& one);
/// The same among the keys of a list that a document was written by (keys_of).
Outcome<std::string> whole_key(const std::vector<std::string>& keys, std::string_view method_key,
                               const MethodSetting& one);
/// Of a document that Settings wrote: "rl.inner_rate", ... Nothing where it is none.
std::vector<std::string> keys_of(std::string_view toml);

}  // namespace dunlin
