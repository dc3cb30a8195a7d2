// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/text_values.hpp"

#include <string>

#include <CLI/App.hpp>

namespace dunlin {

/// Makes every option of a program, and of its commands, read its values as settings do (training/host/text_values.hpp):
/// CLI11 by itself takes "010" for eight and nothing for 0. What is empty is refused; "~/" is expanded. Called when
/// all options are declared.
inline void read_options_as_settings(CLI::App& program) {
    for (CLI::Option* option : program.get_options()) {
        const std::string type = option->get_type_name();
        const bool counts = type.starts_with("UINT"), whole = counts || type.starts_with("INT");
        const bool real = type.starts_with("FLOAT"), text = type.starts_with("TEXT");
        if (!whole && !real && !text) continue;  // a flag
        const auto read = [=](std::string& value) -> std::string {
            if (text) {
                value = expand_home(value);
                return value.empty() ? "is empty; leave the option out, or give it a value" : "";
            }
            if (real) return real_number(value) ? "" : "\"" + value + "\": expected a number, as 0.5 or 1e-3";
            const auto number = whole_number(value);
            if (!number || (counts && *number < 0)) {
                return "\"" + value + "\": expected a whole number" +
                       (counts ? " from 0 to 9223372036854775807" : "") + " in decimal digits";
            }
            value = std::to_string(*number);
            return "";
        };
        option->transform(CLI::Validator(read, ""));
    }
    for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; }))
        read_options_as_settings(*command);
}

}  // namespace dunlin
